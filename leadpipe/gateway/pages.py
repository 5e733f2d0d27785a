"""The few pages a lead may see: plain, self-contained, in the team's name.

What lives here: HTML. What does not: what a choice does (``unsubscribe``).
"""

from __future__ import annotations

from html import escape

from fastapi.responses import HTMLResponse

_STYLE = (
    "body{margin:0;background:#f4f5f7;color:#1d2330;font:17px/1.55 system-ui,-apple-system,'Segoe UI',sans-serif}"
    "main{max-width:30rem;margin:12vh auto;padding:2.2rem;background:#fff;border-radius:12px;"
    "box-shadow:0 1px 3px rgba(20,28,50,.14)}"
    "h1{margin:0 0 .6rem;font-size:1.4rem;line-height:1.25}p{margin:.6rem 0}"
    "label{display:block;margin:.7rem 0;padding:.75rem .9rem;border:1px solid #d5d9e2;border-radius:8px;cursor:pointer}"
    "input{margin-right:.6rem;accent-color:#1f4fbf}"
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
}


def page(title: str, body: str, *, team: str, postal_address: str = "", status: int = 200) -> HTMLResponse:
    """One page; ``body`` is HTML, everything else is text."""
    foot = " · ".join(part for part in (escape(team), escape(postal_address)) if part)
    html = (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}<small>{foot}</small></main></body></html>"
    )
    return HTMLResponse(html, status, _HEADERS)


def choices(team: str) -> str:
    """The form of the unsubscribe page; it works without a cookie and without a script."""
    name = escape(team or "us")
    return (
        "<form method=post>"
        "<p>Choose what should end. It takes effect at once.</p>"
        f"<label><input type=radio name=choice value=email checked>Emails from {name}</label>"
        f"<label><input type=radio name=choice value=all>Everything: emails, texts and WhatsApp from {name}</label>"
        "<button type=submit>Unsubscribe</button></form>"
    )
