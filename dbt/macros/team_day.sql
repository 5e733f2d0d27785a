{# A moment as the team's own calendar day. #}
{% macro team_day(column) -%}
  cast({{ column }} at time zone '{{ env_var("LEADPIPE_TEAM_TIMEZONE", "America/Chicago") }}' as date)
{%- endmacro %}
