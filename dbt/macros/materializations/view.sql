{#
  A view is written only when its text or its description changed. A build every few minutes would otherwise commit
  forty unchanged views, each a snapshot of the whole lake that is kept for thirty days. The version at the end of the
  comment says which text is there.
#}
{% materialization view, adapter='duckdb' %}
  {%- set existing = load_cached_relation(this) -%}
  {%- set target = this.incorporate(type='view') -%}
  {%- set comment = model.description ~ ' (version ' ~ local_md5(compiled_code ~ model.description)[:12] ~ ')' -%}

  {{ run_hooks(pre_hooks) }}

  {% set known = run_query(
    "select comment from duckdb_views() where database_name = '" ~ this.database ~ "' and schema_name = '"
    ~ this.schema ~ "' and view_name = '" ~ this.identifier ~ "'"
  ) %}
  {% if not should_full_refresh() and known | length and known.columns[0].values()[0] == comment %}
    {% call statement('main') -%}
      select 'unchanged'
    {%- endcall %}
  {% else %}
    {% if existing is not none and existing.type != 'view' %}
      {{ drop_relation_if_exists(existing) }}
    {% endif %}
    {% call statement('main') -%}
      create or replace view {{ target }} as (
        {{ compiled_code }}
      );
      comment on view {{ target }} is '{{ comment | replace("'", "''") }}'
    {%- endcall %}
  {% endif %}

  {{ run_hooks(post_hooks) }}
  {{ adapter.commit() }}
  {{ return({'relations': [target]}) }}
{% endmaterialization %}
