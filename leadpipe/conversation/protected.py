"""What a lead volunteers that no model may see: who they are, as fair-housing law understands it (C35, C37, C38).

What lives here: finding it by stock words, English and Spanish, and taking it out of a prompt. What does not: numbers
that may not even be stored (``redact``), subjects that people answer (``topics``).

A model is asked what the lead wants, and that does not change with their faith, family, health, origin, papers or
income. Too much taken out costs the model a word; too little shows it what it may not know.
"""

# ruff: noqa: E501 - one way to say it a line; broken patterns read worse than long ones
from __future__ import annotations

import re
from collections.abc import Iterable

HIDDEN = "[private]"
_FAITHS = r"christian|muslim|jewish|hindu|catholic|mormon|sikh|buddhist|islamic|evangelical|cristian[oa]s?|cat[oó]lic[oa]s?|jud[ií][oa]s?|musulm[aá]n(?:a|es)?"
_ORIGINS = (
    r"black|white|asian|hispanic|latin[oax]s?|african[- ]american|native american|arab|mexican|chinese|korean|indian|"
    r"vietnamese|filipin[oa]|cuban|haitian|nigerian|somali|russian|mexican[oa]s?|chin[oa]s?|negr[oa]s?|blanc[oa]s?"
)
_PATTERNS = (
    # faith
    rf"(?:i'?m|i am|we'?re|we are|as an?|somos|soy|my family is) (?:an? |very |una? )?(?:{_FAITHS})\b",
    r"\b(?:our|my|the|nuestra|mi|la|una?) (?:church|mosque|synagogue|temple|parish|iglesia|mezquita|sinagoga)\b",
    r"\b(?:kosher|halal|ramadan|shabbat|sabbath)\b",
    # family
    r"\b(?:expecting|pregnant|embarazad[oa]|esperando un beb[eé]|newborn|reci[eé]n nacid[oa]|having (?:a )?(?:baby|twins))\b",
    r"\b(?:single|madre|padre) (?:mom|mother|dad|father|parent|solter[oa])s?\b|\bmadre soltera\b|\bpadre soltero\b",
    r"\b(?:divorc\w+|widow\w*|separated from|newly ?weds?|viud[oa]|reci[eé]n casad[oa]s)\b",
    r"\b(?:my|our|mis|nuestros) (?:\w+ )?(?:kids?|child(?:ren)?|sons?|daughters?|toddlers?|bab(?:y|ies)|grandkids|hij[oa]s?|ni[nñ][oa]s?|beb[eé]s?)\b",
    # health
    r"\b(?:wheelchairs?|disabled|disabilit(?:y|ies)|handicap\w*|cancer|chemo\w*|hiv|autis\w+|dementia|alzheimer\w*|diagnos\w+|surgery|silla de ruedas|discapac\w+|c[aá]ncer|service (?:dog|animal)|mental health|depression|ptsd)\b",
    # origin and papers
    rf"(?:i'?m|i am|we'?re|we are|as an?|somos|soy|my family is) (?:an? |una? )?(?:{_ORIGINS})\b",
    r"\b(?:immigrants?|undocumented|green ?card|daca|asylum|refugees?|h-?1b|visa (?:status|holder)|work visa|citizenship|itin|inmigrantes?|indocumentad[oa]s?|refugiad[oa]s?|papeles|ciudadan[ií]a)\b",
    # who they love, how old they are
    r"\b(?:gay|lesbian|lgbtq?\w*|transgender|bisexual|my (?:husband|wife|esposa|esposo)|mi (?:esposa|esposo|marido))\b",
    r"(?:i'?m|i am|we'?re|we are|tengo) (?:1[89]|[2-9]\d)(?: years old| a[nñ]os)\b|\b(?:senior citizens?|retire[des]+|jubilad[oa]s?)\b",
    # money of theirs that is no budget
    r"\b(?:i|we) (?:make|earn|bring home)\b[^.!?\n]{0,30}|\b(?:gano|ganamos)\b[^.!?\n]{0,30}",
    r"\b(?:my|our|mi|nuestro|household) (?:income|salary|paycheck|salario|ingresos?)\b[^.!?\n]{0,30}",
    r"\b(?:credit score|puntaje de cr[eé]dito)\b[^.!?\n]{0,20}|\b(?:section ?8|vouchers?|food stamps|welfare|ssi|ssdi|unemployment|vale de vivienda)\b",
    # their past, their service
    r"\b(?:felony|felon|convict\w+|on parole|probation|arrested|criminal record|antecedentes penales)\b",
    r"\b(?:veterans?|active duty|deployed|veteran[oa]s? de guerra)\b",
)
_PROTECTED = re.compile("|".join(f"(?:{pattern})" for pattern in _PATTERNS), re.IGNORECASE)


def without_protected(text: str, *, names: Iterable[str] = ()) -> str:
    """The text with what says who the lead is taken out, their own names too: a name tells origin and sex."""
    text = _PROTECTED.sub(HIDDEN, text)
    known = sorted({re.escape(name) for name in names if len(name) > 1}, key=len, reverse=True)
    return re.sub(rf"(?<!\w)(?:{'|'.join(known)})(?!\w)", "[name]", text, flags=re.IGNORECASE) if known else text
