{#
  A table is refreshed in place: rows that are no longer in the model's result are deleted, new ones inserted, and when
  nothing differs nothing is committed. Building it anew each time, as dbt does, would leave a whole copy of every mart
  in the lake every few minutes for thirty days, and a catalog that slows each attach. It also keeps time travel
  useful: `AT (...)` finds the same table.

  Rows are compared by hash, so a model must not give the same row twice; each has a test of its key.
#}
{% materialization table, adapter='duckdb', supported_languages=['sql'] %}
  {%- set existing = load_cached_relation(this) -%}
  {%- set target = this.incorporate(type='table') -%}
  {%- set result = '"dbt_' ~ this.schema ~ '_' ~ this.identifier ~ '"' -%}

  {{ run_hooks(pre_hooks) }}

  {% call statement('main') -%}
    create or replace temp table {{ result }} as (
      {{ compiled_code }}
    )
  {%- endcall %}

  {% set is_same_shape = existing is not none and existing.type == 'table' and not should_full_refresh()
      and columns_of(target) == columns_of(result) %}
  {% if is_same_shape %}
    {% set differs = run_query(
      "select exists (from " ~ target ~ " as old anti join " ~ result ~ " as new on hash(old) = hash(new))"
      ~ " or exists (from " ~ result ~ " as new anti join " ~ target ~ " as old on hash(old) = hash(new))"
    ) %}
    {% if differs.columns[0].values()[0] %}
      {% call statement('refresh') -%}
        delete from {{ target }}
        where rowid in (
          select old.rowid from {{ target }} as old anti join {{ result }} as new on hash(old) = hash(new)
        );
        insert into {{ target }} by name (
          from {{ result }} as new anti join {{ target }} as old on hash(old) = hash(new)
        )
      {%- endcall %}
    {% endif %}
  {% else %}
    {# A shape that is there already has passed its contract. #}
    {% if config.get('contract').enforced %}
      {{ get_assert_columns_equivalent('select * from ' ~ result) }}
    {% endif %}
    {% if existing is not none and existing.type != 'table' %}
      {{ drop_relation_if_exists(existing) }}
    {% endif %}
    {% call statement('create') -%}
      create or replace table {{ target }} as from {{ result }}
    {%- endcall %}
  {% endif %}
  {{ comment_where_changed(target) }}

  {{ run_hooks(post_hooks) }}
  {{ adapter.commit() }}
  {% call statement('drop_result', auto_begin=False) -%}
    drop table {{ result }}
  {%- endcall %}
  {{ return({'relations': [target]}) }}
{% endmaterialization %}

{# Names and types of a relation's columns, as one text. #}
{% macro columns_of(relation) -%}
  {% set found = run_query("select column_name || ' ' || column_type from (describe " ~ relation ~ ")") %}
  {{ return(found.columns[0].values() | join(', ')) }}
{%- endmacro %}

{# Give the table and its columns the model's descriptions, writing only those that differ from what is there. #}
{% macro comment_where_changed(relation) -%}
  {% set known = {} %}
  {% set found = run_query(
    "select '' as name, comment from duckdb_tables() where database_name = '" ~ relation.database ~ "' and schema_name = '"
    ~ relation.schema ~ "' and table_name = '" ~ relation.identifier ~ "' union all "
    ~ "select column_name, comment from duckdb_columns() where database_name = '" ~ relation.database
    ~ "' and schema_name = '" ~ relation.schema ~ "' and table_name = '" ~ relation.identifier ~ "'"
  ) %}
  {% for row in found.rows %}
    {% do known.update({row[0]: row[1] or ''}) %}
  {% endfor %}
  {% set statements = [] %}
  {% if known.get('', '') != model.description %}
    {% do statements.append("comment on table " ~ relation ~ " is '" ~ model.description | replace("'", "''") ~ "'") %}
  {% endif %}
  {% for name, column in model.columns.items() if name in known and known[name] != column.description %}
    {% do statements.append(
      "comment on column " ~ relation ~ '."' ~ name ~ "\" is '" ~ column.description | replace("'", "''") ~ "'"
    ) %}
  {% endfor %}
  {% if statements %}
    {% call statement('comments') -%}
      {{ statements | join(';\n') }}
    {%- endcall %}
  {% endif %}
{%- endmacro %}
