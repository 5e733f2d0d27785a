"""The few pages a lead may see: plain, self-contained, in the team's name, in English or Spanish.

What lives here: words and HTML. What does not: what a choice does (``unsubscribe``).
"""

from __future__ import annotations

from html import escape
from typing import Literal

from fastapi.responses import HTMLResponse

Language = Literal["en", "es"]
Name = Literal["choose", "ended_email", "ended_all", "unreadable"]

_STYLE = (
    "body{margin:0;background:#f4f5f7;color:#1d2330;font:17px/1.55 system-ui,-apple-system,'Segoe UI',sans-serif}"
    "main{max-width:30rem;margin:12vh auto;padding:2.2rem;background:#fff;border-radius:12px;"
    "box-shadow:0 1px 3px rgba(20,28,50,.14)}"
    "h1{margin:0 0 .6rem;font-size:1.4rem;line-height:1.25}p{margin:.6rem 0}"
    "label{display:flex;gap:.7rem;align-items:baseline;margin:.7rem 0;padding:.75rem .9rem;border:1px solid #d5d9e2;"
    "border-radius:8px;cursor:pointer}input{accent-color:#1f4fbf}"
    "button{margin-top:1rem;padding:.75rem 1.4rem;border:0;border-radius:8px;background:#1f4fbf;color:#fff;"
    "font:inherit;font-weight:600;cursor:pointer}button:focus-visible,input:focus-visible{outline:3px solid #9db7f5}"
    "small{display:block;margin-top:1.6rem;color:#5b6475}"
    "@media(max-width:34rem){main{margin:0;min-height:100vh;border-radius:0;box-sizing:border-box}}"
    "@media(prefers-color-scheme:dark){body{background:#14171f;color:#e8eaf0}main{background:#1e2330}"
    "label{border-color:#3a4152}small{color:#a3abbd}}"
)
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
    "Cache-Control": "no-store",
    "Vary": "Accept-Language",
}
# (title, paragraph) of each page; {team} is escaped before it is put in.
_WORDS: dict[Language, dict[Name, tuple[str, str]]] = {
    "en": {
        "choose": ("Unsubscribe", "Choose what should end. It takes effect at once."),
        "ended_email": (
            "You are unsubscribed",
            "You will not get emails from us any more. There is nothing else to do.",
        ),
        "ended_all": (
            "You are unsubscribed",
            "You will not get emails, texts or WhatsApp messages from us any more. There is nothing else to do.",
        ),
        "unreadable": (
            "We cannot read this link",
            "Please open it again from the email, or answer that email with the word <b>unsubscribe</b>.",
        ),
    },
    "es": {
        "choose": ("Cancelar la suscripción", "Elija qué debe terminar. Surte efecto de inmediato."),
        "ended_email": ("Suscripción cancelada", "Ya no recibirá correos nuestros. No hace falta nada más."),
        "ended_all": (
            "Suscripción cancelada",
            "Ya no recibirá correos, mensajes de texto ni de WhatsApp nuestros. No hace falta nada más.",
        ),
        "unreadable": (
            "No podemos leer este enlace",
            "Ábralo de nuevo desde el correo, o responda a ese correo con la palabra <b>cancelar</b>.",
        ),
    },
}
_CHOICES: dict[Language, tuple[str, str, str]] = {
    "en": ("Emails from {team}", "Everything: emails, texts and WhatsApp from {team}", "Unsubscribe"),
    "es": ("Correos de {team}", "Todo: correos, mensajes de texto y WhatsApp de {team}", "Cancelar la suscripción"),
}
_US: dict[Language, str] = {"en": "us", "es": "nosotros"}


def language_of(accept_language: str) -> Language:
    """Spanish when a browser asks for it before English."""
    wanted = [part.split(";")[0].strip().lower()[:2] for part in accept_language.split(",")]
    return next((language for language in wanted if language in {"en", "es"}), "en")  # pyright: ignore[reportReturnType]


def page(name: Name, *, language: Language, team: str, postal_address: str, status: int) -> HTMLResponse:
    """One page, with the form where there is something to choose."""
    title, words = _WORDS[language][name]
    body = f"<p>{words}</p>" + (_form(language, team) if name == "choose" else "")
    foot = " · ".join(escape(part) for part in (team, postal_address) if part)
    html = (
        f"<!doctype html><html lang={language}><head><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{title}</h1>{body}<small>{foot}</small></main></body></html>"
    )
    return HTMLResponse(html, status, _HEADERS | {"Content-Language": language})


def _form(language: Language, team: str) -> str:
    """The choice; it works without a cookie and without a script."""
    emails, everything, button = (words.format(team=escape(team or _US[language])) for words in _CHOICES[language])
    return (
        "<form method=post>"
        f"<label><input type=radio name=choice value=email checked><span>{emails}</span></label>"
        f"<label><input type=radio name=choice value=all><span>{everything}</span></label>"
        f"<button type=submit>{button}</button></form>"
    )
