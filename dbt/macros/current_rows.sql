{# The newest version landed of each record of an append-only raw table. #}
{% macro current_rows(relation, key, order_by='landed_at') -%}
  select *
  from {{ relation }}
  qualify row_number() over (partition by {{ key }} order by {{ order_by }} desc) = 1
{%- endmacro %}
