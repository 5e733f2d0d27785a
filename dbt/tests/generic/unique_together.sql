{# The columns together name one row; a missing value counts as a value. #}
{% test unique_together(model, columns) %}
  select {{ columns | join(', ') }}, count(*) as count_rows
  from {{ model }}
  group by {{ columns | join(', ') }}
  having count(*) > 1
{% endtest %}
