{# Whether a reply's intent is one that an agent wants to hear. #}
{% macro is_positive(column) -%}
  coalesce({{ column }} in ('interested', 'appointment', 'question', 'human'), false)
{%- endmacro %}

{# Whether a reply's intent ends contact for good. #}
{% macro is_refusal(column) -%}
  coalesce({{ column }} in ('opt_out', 'wrong_number', 'complaint'), false)
{%- endmacro %}
