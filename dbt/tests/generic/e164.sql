{# Phones are in E.164: a plus, the country and the number, digits only; a missing value is no value. #}
{% test e164(model, column_name) %}
  select {{ column_name }}
  from {{ model }}
  where not regexp_full_match({{ column_name }}, '\+[1-9][0-9]{6,14}')
{% endtest %}
