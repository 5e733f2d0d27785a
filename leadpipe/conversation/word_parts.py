"""Which part a word plays in a refusal, in English and Spanish: what is to end, who is written to, by what, and what else.

What lives here: the words of each part. What does not: which order of parts refuses (``refusal_model`` learns it from
sentences). "Remove my number from your list" and "borren mi correo de su base" are one sentence in parts, and "remove
the photo from your listing" is another; a few thousand sentences cannot show every word in every place.
"""

# ruff: noqa: E501 - one part a line; broken patterns read worse than long ones
from __future__ import annotations

import re
from functools import lru_cache

from leadpipe.conversation.lookalikes import SIGNS

_ENDING = (
    r"(o|a|as|an|e|es|en|ar|er|ir|i|ia|ian|iera|ieran|aran|ara|ado|ando|iendo|emos|amos|ad|ed|id|ais|eis|is|ame|amos)"
)
_CLITIC = r"(me|nos|le|les|se|lo|la|los|las|nme|nnos|nle|nles|rme|rnos|melo|noslo)?"


def _verb(stems: str) -> str:
    """A Spanish verb's forms from its stems, with what hangs on them (``quítenme``)."""
    return rf"({stems}){_ENDING}{_CLITIC}"


_PARTS: tuple[tuple[str, str], ...] = (
    (
        "stop",
        r"stop|stops|stopping|quit|quits|quitting|cease|halt|desist|discontinue|terminate|refrain|stopall|knock|alto|pare|paren|parar|parale|parenle|para(d|dle)|basta|"
        + _verb("ces|deteng|deten|suspend|cort")
        + r"|deje|dejen|deja|dejad|dejar|dejes|dej[ae]n?(me|nos)",
    ),
    (
        "end",
        r"end|ends|ending|finish|cancel|cancels|cancell?ed|cancell?ing|off|out|deactivate|disable|turn|shut|switch|mute|"
        + _verb("cancel|termin|finaliz|anul|desactiv|apag|apagu|acab"),
    ),
    (
        "drop",
        r"remove|removed|removing|delete|deleted|deleting|erase|erased|scrub|purge|take|taken|drop|scratch|strike|cross|wipe|forget|lose|get|pull|toss|trash|unlist|"
        + _verb("quit|borr|elimin|sac|saqu|retir|remov|remuev|tach|suprim|olvid|pierd|salg|sal")
        + r"|quit[ae]n?(me|nos)",
    ),
    ("unsub", r"unsubscribe\w*|unsub|optout|opt|opting|opted|baja|bajas|" + _verb("desuscrib|dessuscrib|desinscrib")),
    (
        "write",
        r"text|texting|texted|message|messaging|messaged|contact|contacting|contacted|call|calling|called|callin|textin|email|emailing|emailed|mail|mailing|write|writing|wrote|reach|reaching|"
        r"send|sending|sendin|sends|ping|phone|phoning|dial|ask|asking|respond|follow|solicit|"
        + _verb(
            "escrib|llam|mand|envi|contact|text|marc|marqu|busc|busqu|habl|pregunt|insist|mensaje|texte|yam|escriv"
        ),
    ),
    (
        "bother",
        r"bother\w*|harass\w*|harras\w*|spam\w*|pester\w*|annoy\w*|disturb\w*|bug|bugging|hound\w*|blast\w*|blow\w*|hitting|waste|wasting|"
        + _verb("molest|fastidi|chingu|ching|jod|hinch|acos|agobi"),
    ),
    (
        "mails",
        r"texts|messages|emails|calls|alerts?|updates?|newsletters?|notifications?|ads?|promos?|spam|crap|shit|bs|stuff|junk|mailings?|robocalls?|voicemails?|listings?|reports?|drips?|communications?|communication|correspondence|solicitations?|outreach|marketing|"
        r"mensaj\w+|msjs?|correos?|llamadas?|textos?|avisos?|alertas?|publicidad|propaganda|promocion\w*|notificacion\w*|informacion|envios?|suscripcion\w*|subscription|comunicacion\w*|casas|houses|homes|properties|propiedades",
    ),
    (
        "list",
        r"lists?|database|system|records?|file|crm|contacts|lista|listas|base|sistema|registros?|datos|data|info|information|details|dnc|registry|directory|group|thread|chat|grupo",
    ),
    ("me", r"me|us|my|our|mine|mi|mis|nos|nuestr\w+|conmigo"),
    ("i", r"i|im|we|were|ive|id|ill|yo|nosotros"),
    ("you", r"you|your|ur|yall|youre|guys|people|ustedes|usted|su|sus|tu|tus|te|vos|les|le|whoever"),
    ("these", r"this|these|those|it|that|esto|estos|estas|esta|este|eso|esos|thing|cosas"),
    ("not", r"dont|not|never|no|nunca|jamas|wont|cant|didnt|doesnt|isnt|nor|ni|nope|sin|neither|aint|nah|dnt|tampoco"),
    ("more", r"more|anymore|again|further|another|ever|mas|nomore|additional|otra|otro|nada|anything|nothing|any"),
    ("still", r"still|keep|keeps|kept|continue|sigue\w*|sigan?|siga|seguir"),
    (
        "want",
        r"want|wants|wanna|wish|need|like|prefer|would|rather|quiero|queremos|deseo|deseamos|necesito|quisiera|prefiero|gustaria|kiero|ocupo",
    ),
    ("only", r"only|just|solo|solamente|nomas|instead|better|mejor|but|pero|yes|si|sure"),
    (
        "phone",
        r"number|numbers|numbr|phone|cell|line|inbox|numero|num|telefono|celular|tel|correo|email|address|direccion|contacto",
    ),
    (
        "please",
        r"please|kindly|favor|porfa|porfavor|xfa|thanks|gracias|now|ya|already|immediately|today|asap|ok|okay|hey|hi|hello|hola|sorry",
    ),
    (
        "ask",
        r"can|could|how|will|puede|pueden|puedo|podria|podrian|como|cuando|when|what|where|why|who|which|donde|que|quien|cual|cuanto|cuantos|is|are|does|did|do",
    ),
    ("told", r"told|said|asked|tell|dije|dicho|digo|pedi|pedido|pido|ruego|times|veces|third|second|last|final|ultima"),
    (
        "consent",
        r"consent|permission|authoriz\w+|revoke|withdraw|rescind|gdpr|ccpa|tcpa|consentimiento|autoriz\w+|permiso|revoco|retiro|derecho|privacy",
    ),
    (
        "threat",
        r"fcc|ftc|lawyer|attorney|sue|suing|lawsuit|court|police|cops|report|reporting|reported|block|blocked|blocking|illegal|harassment|scam|demand\w+|denunci\w+|bloque\w+|abogado|policia|acoso|complaint|bbb|queja",
    ),
    (
        "rude",
        r"fuck\w*|fck|hell|damn|piss|screw|shut|stfu|gtfo|lost|away|alone|paz|tranquil\w+|mierda|verga|carajo|chingada|vayan?se|vete|largo|larguese|hike",
    ),
    (
        "home",
        r"house|home|condos?|condo|apartment|unit|lot|yard|garage|kitchen|roof|pool|basement|wall|carpet|floor|sign|photos?|pics?|pictures?|price|rent|lease|rates?|hoa|title|deed|loan|mortgage|contract|offer|offers|market|search|filter|"
        r"casa|condo|departamento|apartamento|piso|terreno|patio|cochera|cocina|techo|alberca|piscina|sotano|pared|alfombra|letrero|fotos?|precio|renta|contrato|hipoteca|oferta|mercado|busqueda|cuota|enganche|recamaras|cuartos|anuncio",
    ),
    (
        "meet",
        r"appointment|showing|tour|visit|meeting|open|cita|visita|tuesday|monday|wednesday|thursday|friday|saturday|sunday|tomorrow|tonight|noon|weekend|lunes|martes|miercoles|jueves|viernes|sabado|domingo|manana|clockfig|schedule|reschedule|calendar",
    ),
    (
        "when",
        r"until|till|before|after|during|while|by|hasta|antes|despues|mientras|once|hour|hours|week|month|semana|mes|spring|summer|fall|winter|year|january|march|may|june",
    ),
    (
        "other",
        r"agent|realtor|broker|agency|zillow|redfin|tenants?|seller|owner|lender|bank|contractor|neighbor|wife|husband|kids?|boss|ex|landlord|mom|dad|she|he|they|her|him|them|his|their|agente|agencia|dueno|inquilino|banco|vecino|esposo|esposa|hijos?|jefe|casero|ella|ellos|train|bus|car|water|gas|power|luz|agua|carro",
    ),
)
_COMPILED = tuple((name, re.compile(rf"(?:{pattern})")) for name, pattern in _PARTS)


@lru_cache(maxsize=20_000)
def part_of(word: str) -> str:
    """The part of one word in plain form; ``x`` for a word that plays none, and the word itself for a mark or a sign."""
    if word in SIGNS or word in {".", "?"}:
        return word
    return next((name for name, pattern in _COMPILED if pattern.fullmatch(word)), "x")


def parts_of(words: str) -> list[str]:
    """The part of each word of a text in plain form, look-alikes set aside."""
    return [part_of(word) for word in words.split()]
