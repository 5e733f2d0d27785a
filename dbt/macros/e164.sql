{# A phone as somebody wrote it, in E.164: US forms, and any number that names its country. Null when it is neither. #}
{% macro e164(column) %}
{%- set plain = "regexp_replace(lower(trim(" ~ column ~ ")), '\\s*(ext\\.?|x|#)\\s*\\d+$', '')" -%}
{%- set digits = "regexp_replace(" ~ plain ~ ", '[^0-9]', '', 'g')" -%}
case
        when not regexp_full_match({{ plain }}, '\+?[0-9\s().\-/]+') then null
        when regexp_full_match({{ digits }}, '1?[2-9][0-9]{9}')
            and (not starts_with({{ plain }}, '+') or length({{ digits }}) = 11)
            then '+1' || right({{ digits }}, 10)
        when starts_with({{ plain }}, '+') and regexp_full_match({{ digits }}, '[2-9][0-9]{6,14}')
            then '+' || {{ digits }}
    end
{%- endmacro %}
