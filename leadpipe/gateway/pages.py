"""The few pages a lead may see: plain, self-contained, in the team's name, in English or Spanish.

What lives here: words and HTML. What does not: what a choice does (``unsubscribe``).
"""

from __future__ import annotations

from html import escape
from typing import Literal, NamedTuple

from fastapi.responses import HTMLResponse

Language = Literal["en", "es"]
Name = Literal["choose", "ended_email", "ended_all", "fewer", "still_ended", "unreadable"]

_STYLE = (
    ":root{--ink:#1d2330;--soft:#566074;--paper:#fff;--ground:#f3f4f7;--line:#c9cfdb;--blue:#1d4fc4;--tint:#eef3ff;"
    "--ring:#7aa2ff;--on:#fff}"
    "@media(prefers-color-scheme:dark){:root{--ink:#eceef4;--soft:#aab2c3;--paper:#1d2230;--ground:#13161e;"
    "--line:#454e61;--blue:#8fb2ff;--tint:#26304a;--ring:#8fb2ff;--on:#10131a}}"
    "*{box-sizing:border-box}"
    "body{margin:0;background:var(--ground);color:var(--ink);"
    "font:17px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}"
    "main{max-width:32rem;margin:min(12vh,6rem) auto 2rem;padding:2.25rem;background:var(--paper);border-radius:14px;"
    "box-shadow:0 1px 3px rgba(20,28,50,.12),0 8px 24px rgba(20,28,50,.06)}"
    "h1{margin:0 0 .5rem;font-size:1.5rem;line-height:1.25;text-wrap:balance}p{margin:.5rem 0;color:var(--soft)}"
    "fieldset{margin:1.25rem 0 0;padding:0;border:0}legend{padding:0;font-weight:600}"
    "label{display:grid;grid-template-columns:auto 1fr;gap:.1rem .8rem;align-items:start;margin:.6rem 0;"
    "padding:.85rem 1rem;border:1px solid var(--line);border-radius:10px;cursor:pointer}"
    "label:has(:checked){border-color:var(--blue);background:var(--tint);box-shadow:inset 0 0 0 1px var(--blue)}"
    "label:has(:focus-visible){outline:3px solid var(--ring);outline-offset:2px}"
    "input{grid-row:span 2;width:1.15rem;height:1.15rem;margin:.2rem 0 0;accent-color:var(--blue)}"
    "input:focus{outline:0}label b{font-weight:600}label span{color:var(--soft);font-size:.93rem}"
    "button{width:100%;min-height:3rem;margin-top:.9rem;padding:.7rem 1.4rem;border:0;border-radius:10px;"
    "background:var(--blue);color:var(--on);font:inherit;font-weight:600;cursor:pointer}"
    "button:focus-visible{outline:3px solid var(--ring);outline-offset:2px}"
    "small{display:block;margin-top:1.75rem;padding-top:1rem;border-top:1px solid var(--line);color:var(--soft);"
    "font-size:.86rem}"
    "@media(max-width:34rem){body{background:var(--paper)}"
    "main{margin:0;padding:1.75rem 1.25rem;border-radius:0;box-shadow:none}}"
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
        "choose": ("How should {team} write to you?", "Nothing has changed yet. Your choice takes effect at once."),
        "ended_email": (
            "You are unsubscribed",
            "You will not get emails from {team} any more. There is nothing else to do.",
        ),
        "ended_all": (
            "You are unsubscribed",
            "You will not get emails, texts or WhatsApp messages from {team} any more. There is nothing else to do.",
        ),
        "fewer": (
            "Fewer emails it is",
            "You will get no more than one email of news or offers a month from {team}. What you ask us is still "
            "answered at once. The link in any of our emails brings you back here.",
        ),
        "still_ended": (
            "You stay unsubscribed",
            "You had unsubscribed from emails of {team} before, and that stays so. To get emails again, write to us.",
        ),
        "unreadable": (
            "We cannot read this link",
            "Please open it again from the email, or answer that email with the word <b>unsubscribe</b>.",
        ),
    },
    "es": {
        "choose": (
            "¿Cómo quiere que le escriba {team}?",
            "Todavía no ha cambiado nada. Lo que elija surte efecto de inmediato.",
        ),
        "ended_email": (
            "Suscripción cancelada",
            "Ya no recibirá correos de {team}. No hace falta nada más.",
        ),
        "ended_all": (
            "Suscripción cancelada",
            "Ya no recibirá correos, mensajes de texto ni de WhatsApp de {team}. No hace falta nada más.",
        ),
        "fewer": (
            "Menos correos, como pidió",
            "Recibirá como máximo un correo al mes con noticias u ofertas de {team}. A lo que nos pregunte le "
            "responderemos enseguida. Con el enlace de cualquiera de nuestros correos puede volver aquí.",
        ),
        "still_ended": (
            "Su suscripción sigue cancelada",
            "Ya había cancelado los correos de {team}, y así queda. Si quiere volver a recibirlos, escríbanos.",
        ),
        "unreadable": (
            "No podemos leer este enlace",
            "Ábralo de nuevo desde el correo, o responda a ese correo con la palabra <b>cancelar</b>.",
        ),
    },
}


class _Choice(NamedTuple):
    value: str
    title: str
    about: str


_CHOICES: dict[Language, tuple[_Choice, ...]] = {
    "en": (
        _Choice("email", "No more emails", "Texts and calls are not affected."),
        _Choice("fewer", "Fewer emails", "No more than one a month."),
        _Choice("all", "Nothing at all", "No emails, no texts, no WhatsApp messages."),
    ),
    "es": (
        _Choice("email", "No más correos", "No afecta a mensajes de texto ni llamadas."),
        _Choice("fewer", "Menos correos", "Como máximo uno al mes."),
        _Choice("all", "Nada en absoluto", "Ni correos, ni mensajes de texto, ni WhatsApp."),
    ),
}
_FORM: dict[Language, tuple[str, str]] = {"en": ("I want", "Save my choice"), "es": ("Quiero", "Guardar mi elección")}
_US: dict[Language, str] = {"en": "us", "es": "nosotros"}
_WE: dict[Language, str] = {"en": "we", "es": "nosotros"}


def language_of(accept_language: str, of_message: str = "") -> Language:
    """The message's language where it is known; else Spanish when a browser asks for it before English."""
    wanted = [of_message, *(part.split(";")[0].strip().lower()[:2] for part in accept_language.split(","))]
    return next((language for language in wanted if language in {"en", "es"}), "en")  # pyright: ignore[reportReturnType]


def page(name: Name, *, language: Language, team: str, postal_address: str, status: int) -> HTMLResponse:
    """One page, with the form where there is something to choose."""
    us = (_WE if name == "choose" else _US)[language]
    title, words = (part.format(team=escape(team or us)) for part in _WORDS[language][name])
    body = f"<p>{words}</p>" + (_form(language) if name == "choose" else "")
    foot = " · ".join(escape(part) for part in (team, postal_address) if part)
    html = (
        f"<!doctype html><html lang={language}><head><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width,initial-scale=1"><meta name=color-scheme content="light dark">'
        f"<title>{title}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{title}</h1>{body}<small>{foot}</small></main></body></html>"
    )
    return HTMLResponse(html, status, _HEADERS | {"Content-Language": language})


def _form(language: Language) -> str:
    """The choice; it works without a cookie and without a script."""
    legend, button = _FORM[language]
    choices = "".join(
        f"<label><input type=radio name=choice value={each.value}{' checked' if number == 0 else ''}>"
        f"<b>{each.title}</b><span>{each.about}</span></label>"
        for number, each in enumerate(_CHOICES[language])
    )
    return (
        f"<form method=post><fieldset><legend>{legend}</legend>{choices}</fieldset>"
        f"<button type=submit>{button}</button></form>"
    )
