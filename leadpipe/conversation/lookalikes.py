"""Words of refusing said of something else, in text in plain form: a bus stop, an appointment to cancel, a photo to remove.

What lives here: the spans that are set aside, each for a sign that says what it was, before rules and model read the
rest. What does not: the refusals (``phrases``). A span is set aside alone, so that a refusal beside it is still read:
"can't stop by today, and stop texting my wife".
"""

# ruff: noqa: E501 - one way to say it a line; broken patterns read worse than long ones
from __future__ import annotations

import re

_HOME = (
    r"(photos?|pics?|pictures?|videos?|pool|walls?|carpets?|signs?|lock ?box|furniture|trees?|snow|clause|contingency|price|typos?|drafts?|tank|shed|fence|"
    r"deck|wallpaper|paint|shoes|trash|condos?|townho\w+|apartments?|requirement|filters?|search\w*|bedrooms?|baths?|curtains|washer|fridge|appliances|roof|"
    r"invite|showings?|tours?|appointments?|slot|form|app|post|flyer|offer|furnishings|mold|asbestos|window|fixers?|rentals?|stairs|garage|ones|box|boxes|"
    r"car|dog|cat|pets|grass|weeds|debris|junk car|old one|duplicate|comment|review|line|item|paragraph|fee|charge|deposit|lien|name from (the )?(title|deed|lease|loan))"
)
_THING = (
    r"(showings?|appointments?|appts?|tours?|meetings?|visits?|viewings?|inspections?|closing|contract|lease|listing|order|wire|payment|flight|insurance|"
    r"warranty|utilities|cable|power|escrow|loan|policy|offer|open house|reservation|gym|credit card|card|check|party|game|sale|purchase|move|zillow|redfin|trulia|"
    r"date|dinner|trip|slot|monday|tuesday|wednesday|thursday|friday|saturday|sunday|tomorrow|tonight|internet|agreement|walk ?through|search|deal|\d+( \d\d)?|class|shift|appraisal|movers?)"
)
_OTHERS = (
    r"(kids?|children|wife|husband|mother|mom|dad|father|sister|brother|son|daughter|boss|dog|neighbou?rs?|tenants?|landlord|contractors?|painters?|cleaners?|"
    r"photographer|lender|bank|builder|in law|ex|boyfriend|girlfriend|(other|another|previous|former|different|competing) (realtors?|agents?|agency|agencies|brokers?|company|companies|team|office|guy|lady|app|site)|"
    r"zillow|redfin|trulia|realtor com|opendoor|telemarketers|he|she)"
)
_WRITING = r"(text\w*|messag\w*|call\w*|email\w*|send\w*|writ\w*|contact\w*|bother\w*|spam\w*|bug\w*|ask\w*|talk\w*)"
_KEY = r"(stop|end|quit|cancel|unsubscribe|alto|baja|parar|cancelar|salir|opt ?out)"
_UTILITY = (
    r"(luz|agua|gas|cable|internet|seguro|telefono viejo|linea vieja|contrato|poder|servicio|hipoteca|otra|otro|tarjeta|cuenta|zillow|redfin|agencia|"
    r"suministros?|alarma|gimnasio|coche|carro|empresa)"
)
_CASA = (
    r"(fotos?|alberca|piscina|pared|alfombra|letrero|candado|muebles|arbol|arboles|nieve|clausula|precio|borrador|zapatos|basura|condos?|departamentos?|"
    r"apartamentos?|pisos?|busqueda|recamaras?|cuartos?|cita|visita|formulario|anuncio|perro|carro|cortinas|lavadora|yeso|muela|copia|"
    r"(dos|tres|cuatro|\d) (cuartos|recamaras|pisos)|(mas )?de \d+|fin|permiso|cuentas?|credito|prestamo|cerca|filtro|cama|dinero|hipoteca)"
)

# (what it was, pattern); in this order, the narrower first.
_SPANS: tuple[tuple[str, str], ...] = (
    # a reaction of a telephone: all of it is our own text
    ("zreacted", r"^(liked|loved|laughed at|emphasized|questioned|disliked|reacted (\w+ )?to|le gusto|le encanto) .*$"),
    # what a message told them to do, and what a machine says
    (
        "zinstructed",
        rf"(?<!have to )(?<!need to )(?<!got to )(?<!gotta )(?<!must )(?<!\bi )(?<!im )(?<!\bam )(?<!so )(?<!have )\b(reply|text|send|say|type|press|click|hit|responda|responder|envie|enviar|mande|conteste|escriba)( with| con)?( the word| la palabra)? {_KEY}"
        rf"( here| below)? (to|para|if|si|at any time|any time|anytime) (\w+ ){{0,4}}?(stop|end|quit|cancel|unsubscribe|opt ?out|leave|be removed|salir|cancelar|detener|dejar|recibir|darse|terminar)\w*"
        r"( (of|out|de|baja|receiving|getting|these|this|the|more|further|recibir|mensajes|mas|estos|avisos|correos|messages|texts|emails|alerts|notifications)\b)*",
    ),
    ("zinstructed", rf"\bhelp (for|to) \w+( \w+)? {_KEY} (to|for) \w+( out)?"),
    (
        "zinstructed",
        r"\bclick (on )?(the )?unsubscribe( link| button)? to \w+|\bto (stop|opt ?out|unsubscribe|end|cancel)( \w+){0,4} (reply|text|click|press|send|visit)( \w+)? (stop|here|below|unsubscribe|end|quit)\b"
        r"|\bpara (dejar|no|cancelar|darse|salir)( \w+){0,4} (responda|envie|pulse|haga clic|conteste|escriba|mande)( \w+)?|\b(what (does|is|happens)|que (significa|pasa))( if| si)?( \w+){0,2} (reply|unsubscribe|stop|responder|respondo|alto|baja|stop|pongo|hit|text|say) ?(stop|alto|baja|unsubscribe)?(?= ?(mean|on|[?]|$|will|ya|by))",
    ),
    (
        "zautomatic",
        r"\b(please |favor de |por favor )?(dont|no) (reply|respond|responda|responder) (to |a )?(this|este|esta) (email|message|text|mail|mensaje|correo|sms|texto|address|direccion)\b"
        r"|\b(automatic|automated|auto) ?(reply|response|message|mensaje)\b|\b(respuesta automatica|mensaje automatico|contestacion automatica)\b"
        r"|\b(do not|dont) disturb( \w+){0,2} (is on|on|until|while|mode|turned)\b|\bon (do not|dont) disturb\b|\bno molestar( esta)? (activado|hasta|mientras|puesto)\b|\bmodo no molestar\b"
        r"|\b(mailbox|inbox|account|address|buzon|number)( \w+)? (is|no|are) (not|no longer|se|longer) (monitored|checked|read|in use|revisa|lee|supervisa|attended)\b|\b(mailbox|account|inbox) (not|is not|isnt) monitored\b",
    ),
    (
        "zfooter",
        r"\bif (you are|youre|you) (not|received)( \w+){0,8} (intended|error|recipient|addressee|mistake)\b.*$|\b(this|the|any) (e ?mail|email|message|communication)( \w+){0,4} (is|are) (confidential|intended only|privileged|intended)\b.*$"
        r"|\beste (correo|mensaje|email) (electronico )?(es|y sus adjuntos son|puede contener \w+) (confidencial\w*|privad\w+)\b.*$|\bsi (lo |ha |no )(recibio|recibido|es)( \w+){0,6} (error|destinatario)\b.*$"
        r"|\byou are receiving this\b.*$|\bnotice to opt ?out\b.*$|\bmsg ?(and|&)? ?data rates\b",
    ),
    # a wish that we go on
    (
        "zgoon",
        r"(?<!you )(?<!if )(?<!yall )(?<!these )(?<!texts )(?<!messages )(?<!emails )(?<!calls )(?<!ever )(?<!people )(?<!guys )\b(dont|never|wont|wouldnt|didnt|not|doesnt)( (ever|please|just|want to|want you to|mean to|going to|gonna|need to|needing to|intend to|"
        r"wish to|trying to|plan to|have to|planning to|yet|want to be|going to be|you (dare|ever)|be))?"
        r" (stop(ping|ped)?|quit(ting)?|unsubscrib(e|ing)|opt(ing|ed)? ?out|remov(e|ed|ing)( (me|us))?(?! from your)|take (me|us|my \w+) off|taken off|delete (me|us)|drop (me|us)|cancel|cancell?ing|give up)\b(?! (you|your|understand)\b)",
    ),
    (
        "zgoon",
        r"\b(cant|couldnt|can not) (stop|quit)\b(?! (these|this|getting|receiving|them|the (texts|emails|messages|calls)|you|it\b))",
    ),
    (
        "zgoon",
        r"\b(unsubscribed?|stop\w*|opt(ed)? ?out|removed)\b( \w+){0,4} (by (accident|mistake)|accidentally|mistakenly|in error)\b|\b(accident\w*|mistake|mistakenly|oops)( \w+){0,5} (unsubscribed?|stop|opt(ed)? ?out|removed)\b"
        r"|\b(ignore|disregard) (my|the|that|last)( \w+)? stop\b",
    ),
    (
        "zgoon",
        r"(?<!dont )(?<!not )(?<!never )\b(subscribe (me|us)|sign (me|us) (back )?up|(add|put) (me|us|my \w+)( back)? (to|on|in) (the|your|that|this) (?!do not|dont|no call|no contact|suppression|block)(\w+ ){0,2}(list|emails?|alerts|newsletter|group)|back on the list|keep (me|us) (on|posted|in the loop|in mind|updated)|keep (them|it|these|the \w+) coming"
        r"|leave (me|us) on|resubscribe|turn( \w+){0,2} back on)\b"
        r"|(?<!you )(?<!people )(?<!dont )(?<!not )(?<!to )(?<!they )(?<!yall )(?<!why )(?<!still )(?<!u )(?<!guys )(?<!and )(?<!i )\bkeep (sending|texting|emailing|me on)\b",
    ),
    (
        "zgoon",
        r"\bno (me |nos |lo |la |las |los )?(dej|par)(e|en|es) (nunca )?de \w+|\bno (me |nos |lo |la )?(quit|borr|elimin|saqu|cancel|remuev|retir|olvid)(e|en|es)(n|me|nos)?\b( de (la|su|esta|tu) lista)?"
        r"|\bno (me |nos )?(de|den|des|vayan? a dar|voy a dar(me)?|vamos a dar(nos)?|doy) de baja\b"
        r"|\bno (me |nos )?(quiero|queremos|queria|voy a|vamos a|pienso|quisiera|deseo) (dar(me|nos)?( de)? baja|cancelar(los|las|la)?|salir(me|nos)?|desuscribir\w*|que (me|nos) (saquen|saque|quiten|quite|borren|borre)( de la lista)?)"
        r"|\b(alto|stop|baja)( \w+){0,2} (por (error|equivocacion|accidente)|sin querer)\b|\b(di|dimos|sali|salido|salio)( de)?( \w+)? (baja |grupo |lista )?(por (error|equivocacion|accidente)|sin querer)\b",
    ),
    (
        "zgoon",
        r"(?<!no )(?<!que )(?<!no me )(?<!no nos )(?<!por que )(?<!y )(?<!ya )\b(sig(a|an|ame|anme)|continue|quiero seguir|quiero recibir|si quiero|mejor siga) (mand|envi|recib|avis|escrib|los|las|sus|informa)\w*|\b(agreg|anot|apunt|inscrib|suscrib|met)(a|e|ue|an|en|uen|es)?(me|nos|nme)\b( (a|en) (la|su|una) lista)?(?! (como no|en no|en la lista de no|no))"
        r"|\bpong(a|an)(me|nos)?( \w+)? en (la|su) lista (de (espera|correos|casas)|que)",
    ),
    (
        "zgoon",
        r"(?<!not )(?<!dont )(?<!never )(?<!didnt )(?<!nor )(?<!was )(?<!no )(?<!my )(?<!would )\b(happy|glad|love|like|enjoy|excited|ok|fine|fine with|ok with|consent|agree|agreed|free|welcome|look forward|looking forward|mind) (to |with |getting |receiving )*(get|getting|receive|receiving|hearing from|hear from|being|reading|seeing|your|the|these)? ?(texts?|messages?|emails?|calls?|updates|alerts|listings|text me|call me|email me)\b(?! (to\b|never|less|to stop|stop))"
        r"|\byou (may|can|could|are (free|welcome) to) (always |still |also |just )?(text|call|email|message|contact|reach|write)\b|(?<!dont )(?<!not )(?<!never )\b(have|has) (my )?permission to (text|call|email|contact)\b|\b(texts|messages|emails|list|listings) (are|is|have been) (very |so |really |super )?(great|helpful|useful|nice|good|lovely|fine|ok|welcome|appreciated)\b(?! but)"
        r"|(?<!no )(?<!ni )\b(acepto|autorizo|me gusta|me gustan|me sirven|me encanta|me encantan|prefiero|quiero|quisiera|me gustaria) (que me (escrib|mand|llam|envi)\w+|recibir|sus (mensajes|correos)|seguir)\b|\bno me molestan? (que|los (mensajes|correos)|sus (mensajes|correos)|recibir)\b|\bkeep (em|them|those|it) coming\b",
    ),
    # a part of what is sent
    (
        "zpart",
        r"\b(stop|quit|dont|no need to|please dont) (sending|send|showing|show|give|giving|offer|offering)( me| us)?( (any|more|the|those|these|all|any more|anymore|so many|big|new|old|more of))*( \w+)? (condos?|rentals?|apartments?|townho\w+|fixer\w*( uppers?)?|stairs|two stor\w+|ranch\w*|duplex\w*|mobile homes?|trailers?|foreclosures?|lots|land|(\d|one|two|three|four) bed\w*|\d\w*|ones|million|"
        r"in (?!the\b|my\b|any\b|your\b)\w+|(anything|stuff|things|homes|houses|places|listings|properties) (in|over|above|under|below|with|without|that|past|outside|near|by|from|bigger|smaller|on)|same|pictures|photos|english|spanish|duplicates?|links|pdfs?)\b"
        r"|\b(no|no more|stop with the|quit with the|enough with the|enough) (condos?|rentals?|apartments?|townho\w+|fixer( uppers?)?|two stor\w+|duplex\w*|mobile homes?|foreclosures?|million dollar|big|expensive|(\d|one|two|three|four) bed\w*|in \w+|listings (in|over|above|with)|houses (in|over|above|with)|homes (in|over|above|with)|more in)\b"
        r"|\b(no|ya no|dejen? de|deja de|pare de) (me |nos )?(mand|envi|ensen|ofre|muestr)\w+( mas)? (de (dos|tres|un|una|\d\w*|ese|esa|mas de|renta|lo mismo)|condos?|departamentos?|apartamentos?|rentas?|(las|los|lo) (de|mismo|que)|casas (de|en|con|arriba)|terrenos?|fotos?|en ingles)\b|\bno (me |nos )?escriba\w* en ingles\b"
        r"|\b(remove|take|drop|delete|skip|leave out|cut) (anything|everything|all|any|the ones|those|the) (over|above|under|below|with|without|in|near|condos|rentals|townhouses)\b",
    ),
    # somebody else who does not stop, or was told to
    (
        "zothers",
        rf"\b{_OTHERS}( (just|really|has|have|always|in|today|still|com)){{0,3}} (wont|doesnt|dont|keeps?|never|cant|hasnt|havent|refuses to)( \w+){{0,1}}? (stop\w*|quit|leave (me|us) alone|{_WRITING})( {_WRITING})?( (me|us))?\b",
    ),
    (
        "zothers",
        rf"\b(tell|told|asked|ask|have|had|need|want|get) (to tell |to ask )?(my |the |our |your |his |her |that )?{_OTHERS}( \w+){{0,1}}? (to )?(stop|quit|take (me|us) off|remove (me|us)|unsubscribe|leave (me|us) alone)\b( {_WRITING})?( (me|us|their|list))*",
    ),
    (
        "zothers",
        rf"\bunsubscribe(d)?( me)? from( all)?( the| all)? ({_OTHERS}|them|their|theirs|others?|everyone else)\b|\b(left|fired|cancell?ed|dumped|quit)( with)? ((my|our|the)( (old|other|last|previous|former))? (agent|realtor|broker|agency|brokerage)|zillow|redfin)\b"
        r"|\b(dont|never|not) (contact|call|text|email|bother|disturb|talk to|message|reach out to|tell|ring|wake) (the|my|our|any|his|her|their) (tenants?|seller|owner|ex|lender|neighbou?rs?|landlord|bank|doorbell|baby|agent)\b",
    ),
    (
        "zothers",
        r"\b(inquilino|vecino|suegra|jefe|pintor|contratista|casero|esposo|esposa|hijos?|perros?|otr[oa] (agencia|agente|inmobiliaria|corredor)|zillow|redfin|banco|ex|lluvia|trafico|telefono)( \w+){0,2} (no )?(me )?(para|paran|deja|dejan|dej[oa]) (de \w+|en paz)"
        r"|\b(dig|pid)(a|an|ale|anle)( \w+){0,3} (inquilino|vecino|pintor|contratista|casero|dueno)( \w+){0,2} (que )?(pare|deje|quite)( de \w+)?|\b(dije|pedi|dijimos) (a )?(la |el |al )?(zillow|redfin|otr[oa] \w+|casero|inquilino|vecino)( \w+){0,5}|\ba (zillow|redfin|la otra \w+) (le|les) (dije|pedi)( \w+){0,8}"
        r"|\bno (contacte|llame|moleste|le diga|le llame|le escriba|hable con) (a |al |con )?(mi|el|la|los|mis|dueno|inquilino)( \w+)?",
    ),
    (
        "zname",
        r"\b(named|called|names?|apellid\w+|llama(n|mos|do)?|last name|boat|street|road|lane|shop|store|bar) (is |are |was |de |es )?(stop\w*|quit\w*|end|alto|basta|baja|unsubscribed?|cancel|parar?)( (lane|street|road|n go))?\b"
        r"|\b(the )?word stop (on|in|at) (the|a)\b|\bstop (and |n )?(shop|go) (parking|store|market)\b|\bbaja california\b|\bel alto\b(?= (de|[.]|$))",
    ),
    (
        "zprefer",
        r"\bdont (email|write|mail)( me| us)?( please)? (just |please |but |instead |rather )?call( me| us)?\b|\bdont call( me| us)?( please)? (just |please |but |instead |rather )?(text|email|write|message)( me| us)?\b|\b(text|call)( me)? dont email\b|\b(text|email)( me)? dont call\b|\bdont (email|mail)( me| us)?( please)? (just |please |but |instead |rather )?text( me| us)?\b|\bno me llam\w+ (mejor |solo )?(prefiero )?(los |un )?(mensajes?|textos?|whatsapp)( de texto)?\b|\bprefiero (los |un )?(mensajes?|textos?|whatsapp)( de texto)? (que )?no( me)? llam\w+|\b(dont|not|never) (ever )?hesitate to \w+( me| us| out)?\b|\bno dude[ns]? en \w+\b|"
        r"\b(better|best|instead|easier|faster) (by|via|with|to|in|on|through|if you) (text|email|phone|call|whatsapp)\w*|\b(text|texts|texting|email|emails|emailing|calls?|calling|whatsapp|phone|spanish|english)( me| us)?( (is|are|works?|would be|just|please))* (better|best|instead|easier)\b|\b(text|texts|texting|email|emails|calls?|calling|whatsapp) (is|are|works?|would be) (fine|ok|good|great)\b|\b(text|email|call) only\b"
        r"|\b(i|we) (prefer|like|rather|would rather) (text|texts|texting|email|emails|calls?|whatsapp|(to|get|have|a) (text|call|email|texts|emails))\b|\b(just|only|please|instead) (text|call|email|whatsapp)( me| us| my cell)\b|(?<!dont )(?<!not )(?<!never )(?<!stop )\b(call|text|email|use|try|contact) my (cell|mobile|new \w+|other \w+|gmail|personal \w+|home \w+|wife|husband)\b|\buse (this|the) (one|new|other)\b"
        r"|\bmejor (por |a |al |en |un )?(mensajes?|textos?|correo|whatsapp|celular|llam\w+|escrib\w+|email|audio|esp\w+|ingles|mand\w+|marqu\w+|en la \w+|despues|luego)\b|\b(solo|solamente|nomas|nada mas) por (mensaje|texto|correo|whatsapp)\b",
    ),
    # stop, quit, end
    (
        "zplace",
        r"\bstop(s|ped|ping|pin)? (by|in|over|off|at(?! once)|on the way|there|through|and (see|look|say|visit|get|grab)|for (gas|coffee|lunch|a |the |food|dinner|ice))\b"
        r"|\b(bus|train|subway|metro|tram|rail|shuttle|trolley|streetcar|next|pit|truck|full|rest|door|four way|all way|\d way|one|last|first|school bus) stops?\b(?! (texting|calling|sending))|\bstop (signs?|lights?|work|orders?|watch|gap|loss|shop|and go)\b|\bnon ?stop\b"
        r"|\bdoor ?stops?\b|\b(does|do|will|would|where) (the |a |that )?(bus|train|subway|metro|tram|trolley|fence|driveway|carpet|road|line|price|sidewalk|property)( \w+)? stop\b",
    ),
    (
        "zstopother",
        r"\b(stop(s|ped|ping)?|quit(ting)?) (paying|renting|taking|accepting|looking|searching|thinking|dreaming|smiling|showing|construction|foreclosure|payment|water|raining|raising|smoking|drinking|parking|barking|building|dropping|climbing|rising|"
        r"going (up|down)|working|living|commuting|adding (to|up|more|stuff|things)|worrying|being (available|valid)|draining|leaking|snowing|crying|laughing|growing|our search|(the|that|this|my|our|your|all|any) (sale|closing|wire|car|foreclosure|showings?|water|leak|search|press|payment|clock|other showings?|work|rent|auction|eviction|noise|"
        r"transfer|check|process|listing|tour|bleeding|presses|construction))\b(?! (texts|emails|alerts))",
    ),
    (
        "zstopother",
        r"\b(rain|music|rates?|prices?|noise|snow|traffic|car|elevator|heater|rent|interest|construction|sink|clock|leak|offers|market|tenant|dog|phone|watch|engine|wifi)( (ever|has|have|just|never|will|hasnt|dont|doesnt|wont|has been|finally))* (stop\w*|quits?)\b( \w+ing)?"
        r"|\b(why|when|how come) (did|do|have|has|does) (the|they|it|he|she|construction|offers|rates?|prices?|sellers?|work|you|your|u|i)( \w+){0,2}? (stop\w*|remove\w*|end|quit)\b(?! (after|when|with|it\b|texting|calling|contacting|bother))( (sending|getting|receiving|emailing|the|those|homes|houses))*",
    ),
    (
        "zstopother",
        r"\bquit (my|his|her|our|the) (job|gym|work|apartment|team|last|old|realtor|agent|lease|company|band|business)\b|\bquit ?claim\w*|\bcall(ing|ed)? it quits\b|\b(he|she|boss|husband|wife|ac|furnace|heater|fridge|battery) (just |finally )?quit\b|\bquit (early|today early|on us|on me)\b",
    ),
    (
        "zendother",
        r"\b(the|week|month|year|dead|front|back|high|low|far|other|either|both|north|south|east|west|deep|rear|tail|odd|weeks|months|years) ends?\b|\bend(s|ed|ing)? (of|up|units?|date|tables?|goal|result|user|zone|lot|cap|our lease|my lease|the (lease|call|contract|meeting|listing|tour|day|week|month))\b"
        r"|\b(lease|listing|contract|period|game|school|season|term|loan|agreement|option|auction|offer|sale|promotion|lock|class|day|month|tax season)( \w+)? ends?\b|\bends (in|on|at|this|next|may|june|july|friday)\b|\bin the end\b|\b(treatment|lease|contract|listing|marriage) ended\b",
    ),
    # cancel
    (
        "zcancelother",
        rf"\b(cancel|cancell?ed|cancell?ing|call(ed|ing)? off|scrap)( with)?( on)?( my| our| the| that| this| a| his| her| todays| tomorrows)?( \w+)?? {_THING}\b(?! (alerts?|emails?|updates|notif\w*|subscription|texts|messages|list))"
        r"|\b(was|were|is|are|been|got|gets?|get|be|he|she|they|agent|buyer|seller|plumber|flight|school|game|husband|wife|we|just|deal|association) (just |already )?cancell?ed\b|\bcancel on (us|me)\b|\bnoise cancell\w+|\b(fee|penalty|cost|happens|charge)( \w+){0,4} cancel\w*"
        r"|\bcancel (that|it) (i|we) (can|could|found|will)\b|\b(have|need|going|gotta|got|want)( to)? cancel (today|tomorrow|tonight|the \d+|our|can|but)\b|\bsorry (need|have|got) to cancel\b|\bcancell?ed (check|by|due)\b",
    ),
    # remove, take off, drop, leave
    (
        "zdropother",
        r"\b(take|took|get|put|remove|let|pull|drop|move|taken|be) (me|us|my (name|ex|wife|husband|house|home|place|listing)|our (house|home|place|listing)|it|him|her|them|mine)?( \w+)? ?(off|out of|from) (of )?(the |that |this |his |a )?(title|deed|loan|mortgage|lease|speaker|hold|market|mls|tour|showing|schedule|"
        r"wait ?list|waiting list|\d+|clockfig|monday|tuesday|wednesday|thursday|friday|saturday|sunday|saturdays|mondays|fridays|sundays|apartment|escrow|utility bill|bill|insurance|contract|invite|hook|waitlist|guest list|highway)\b(?! (list|emails|texts|alerts))",
    ),
    (
        "zdropother",
        rf"\b(remov\w+|delet\w+|eras\w+|scrub\w*|scratch|strik\w+|cross( out| off)?|drop\w*|pull\w*|tak(e|ing)( down| off| out)?|took( down| off| out)?|taken|get rid of|wipe|los(e|ing)|trash|toss|cut|leave|left) (down |out |off |away |out of )?(the|that|those|these|this|a|any|all|some|your|our|my|his|her|anything|everything|both)( \w+){{0,2}}? {_HOME}\b"
        r"(?! (list|alerts|emails|texts))(?! (from|off|out of) (of )?(your|ur|the|this) (mailing |contact |call |email )?(list|system|database|records|contacts))",
    ),
    (
        "zdropother",
        r"\b(photos?|wall|pool|sign|tank|tree|mold|snow|asbestos|wallpaper|carpet|furniture|clause|contingency|pmi|listing|house|ex|lien|tooth|tonsils|lockbox|it|message|post|price)( \w+){0,2} (be |get |was |were |been |is |are |got )(removed|deleted|taken (down|off)|pulled|struck)\b"
        r"|\b(message|this message) (was )?deleted\b|\b(i|we|he|she|they|just|accidentally|you) (accidentally )?(deleted|removed|erased|lost|dropped|took down|took off|pulled|blocked off|scratched) (the|your|that|my|our|it|this|the old)( \w+){0,2} ?(message|text|email|number|app|photo|card|contact|wall|carpet|sign|walls?|phone)?\b(?! (from|off|because|so dont|and dont))"
        r"|\b(tree|snow|mold|tattoo|hair|trash|stain|wall|asbestos) removal\b|\bremoval (is|of the|guy|company)\b|\bscratch that\b",
    ),
    (
        "zoffother",
        r"\boff (the )?(market|mls|highway|freeway|interstate|road|street|title|deed|mortgage|main|leash|hold|speaker|grid|hook|campus|work|route|exit|fence)\b|\b(day|days|time|week|morning|afternoon|power|alarm|alarms|gas|water|waters|heat|lights?|electricity|ac|school|kick|percent|\d+k?|moneyfig|thousand|something|how much|write|pay|show|sign|sold|far|fell|shut|cut|lift|sell|trade|face) off\b(?! (the |these |those |my |your |all )*(alerts?|texts?|messages?|emails?|notifications?|updates))"
        r"|\b(get|gets|got|getting) off (at|work|around|early|by|of work|the (bus|train|highway|phone))\b|\b(im|i am|we are|were|is|are|be) off (today|tomorrow|on|to|at|work|for|leash|now|by|this|next|monday|tuesday|wednesday|thursday|thursdays|friday|fridays|until|till)\b|\bdrop(s|ped|ping)? off\b|\btake off (work|your|the|my|early)\b|\btook (off|the (day|week))\b|\btakes off\b"
        r"|\bturn(ed|s)? (on|off) (the|your|my)? ?(alarm|lights?|water|gas|power|heat|ac|sprinklers?|oven|stove|utilities|electricity|condo filter|filter|tv|heater|pump)\b|\b(who|office) turns off\b|\bknock(ed)? (\d\w*|moneyfig|off \w*\d\w*|something|a few|some)\b|\boff (at )?the (list|asking) price\b",
    ),
    (
        "zleaveother",
        r"\bleav(e|es|ing) (a |me a |us a |your |it |them |him |her |keys?|work|for |at \d|in \d|on |open|voicemail|message|me \d|me (ten|five|some|any)|behind|here|there|town|early|now|soon|room|the (lights?|keys?|gate|door|sign|dog|cat|thermostat|stove|price|offer|area|state|city|house|office|furniture|fridge|paperwork|check|porch|heat|box|contract)|my (job|house|office|key|keys|stuff|jacket|coat|place)|our (apartment|place|house|keys)|us the)\b(?!( \w+){0,2} (alone me|in peace))( alone)?"
        r"|\b(tenants?|renters?|owners?|sellers?|they|fridge|washer|dryer|we|i|to) (leave|leaving|leaves)\b(?! (me|us|my (family|mom|mother|wife|husband|dad|grandma|kids) alone))|\b(staying|stay) or leaving\b",
    ),
    ("zlostother", r"\b(got|get|gets|getting|was|am|im|we|gps|always|be) lost (on|in|looking|around|over|every|trying|going|again|out|there|driving|getting|downtown|at|so)\b|\blost (my|your|our|the|signal|track|power|his|her|a|internet)\b|\b(lose|losing) (the|my spot|my (job|deposit|place|house|check|mind)|it|signal|this house|that|out|power|money|interest)\b(?! (number|my number))|\bgo(ing)? away (for|on|next|this|to|until|till|in|with|the)\b|\bgone away\b"),
    ("zforgetother", r"\bforget (it|about (it|that|the)|what i|to |that one|the |everything)\b(?!.*\b(me|number)\b)|\bdont forget\b"),
    ("zspamother", r"\b(spam|junk) (folder|filter|box|likely)\b|\b(in|to|into) (my |the )?(spam|junk)\b(?! (stop|take|bye))|\b(thought|was|is|it|this link) (you were |it was |this was |in )?(spam|a scam)\b( (or|lol|sorry))|\ben spam\b|\ba (mi )?(carpeta de )?spam\b|\bera spam\b"),
    ("zagent", r"\bno bots?\b( please)?|\bstop (with )?the (menu|robot)( and)?( \w+)? (get|give|let|transfer|i want)\b"),
    # Spanish
    (
        "zalto",
        r"\bparadas? (de|del|cerca|enfrente|mas)\b( \w+)?|\b(en|el|un|del|otro|ese|pase el) alto\b( de (la|el|avenida|esquina))?|\b(muy|mas|tan|que tan|es|esta|estan|techos?|precio|credito|interes|porcentaje|lo|segundo piso|zona|costo|enganche|demasiado|bien) alt[oa]s?\b|\balt[oa]s? (precio|porcentaje|credito|interes|nivel|ahi|costo|demanda)\b|\bde lo alto\b"
        r"|\b(planta|plantas|parte|zona|casa|calle) (baja|alta)\b|\b(mas|tan|muy|cuota|presion|voz|bateria|renta|temporada|tasa|pila|senal) baja\b|\b(estoy|esta|estaba|estuve|me dieron|dieron|pusieron) de baja( (en|por|medica|de maternidad))?\b|\bbaja (medica|altura|densidad|por (maternidad|enfermedad|la espalda))\b|\ben la baja\b|\b(baj(o|ar|aron|an|amos|ara|en|ele|enle)) (el|la|los|si|precio|en|\d)\b|\bbajo en \d",
    ),
    (
        "zparar",
        r"\b(parar|paro|pare|paren|parate|parese|parado|parada|parados|para|parar(se|me|nos)|paramos|paso a|pararon|parar|detener|detengan?|pausar|paren) (en|frente|a (ver|ve|comprar|cargar|comer|echar|dos)|junto|cerca|ahi|la (venta|transferencia|obra|construccion|busqueda|compra|cita|firma)|el (tren|bus|carro|camion|proceso|trafico|pago|coche)|los precios|los otros|las otras visitas|de (buscar(?!me|nos)|subir|llover|sonar|rentar|mostrar))\b"
        r"|\bno (para|deja|paran|dejan) de (llover|sonar|subir|hablar|ladrar|crecer|bajar|preguntar por|nevar)\b|\b(dej|par)(a|e|o|en|an|aron|amos|ar|emos) de (rentar|pagar|buscar(?!me|nos)|subir|recibir ofertas|fumar|llover|funcionar|trabajar|mostrar|ensenar|vivir|aceptar|sonar|tomar)\w*",
    ),
    ("zbastante", r"\bbasta (con(?! (los|las|sus|estos|tantos|tus|el spam|la publicidad|esto))|y sobra|el|la|una?|de (rentar|renta|hablar|buscar|vueltas))\b|\b(con|que)( \w+){1,3} basta\b|\bya basta de (rent|pag)\w+"),
    (
        "zbajaotra",
        rf"\b(dar|doy|di|dio|dimos|dieron|den|de|damos|da|dado|cancel\w+|darnos|darme|deme|dar(me)?|me di|nos dimos) (de |la )?baja( de| del| a| en)?( la| el| los| las| mi| nuestro| nuestra| su| al)? {_UTILITY}\b|\b(de|da|doy|dar) de baja (el|la|los|las) (?!suscrip|correo|mensaj|numero|datos|aviso|alerta)\w+",
    ),
    (
        "zcancelaotra",
        r"\bcancel\w+( lo de| la| el| mi| nuestra| nuestro| una| de| con)?( otra?)? (cita|visita|contrato|seguro|vuelo|tarjeta|hipoteca|venta|mudanza|junta|open|inspeccion|busqueda|hoy|manana|lunes|martes|miercoles|jueves|viernes|sabado|domingo|fiesta|compra|oferta|agencia|reunion|recorrido|escuela|cheque|la de|lo de)\b|\bse (me )?cancel\w+|\b(cancelaron|cancelado|cancelada)\b"
        r"|\b(si|puedo|puede|cobran|cuesta|hay que|multa por) cancel\w+\b(?! (la |mi )?(suscrip|mensaj|correo|aviso|alerta))|\b(no|tengo que) cancel(e|es|en|ar)\b(?! (los|la suscrip|mis|mi))|\bno cancel\w+",
    ),
    (
        "zquitaotra",
        rf"\b(quit|borr|elimin|saqu|sac|retir|tir|baj)(a|e|o|ar|an|en|aron|amos|ara|ue|uen|arle|ele|enle|ale)?n?(le|les|se)? (a )?(el|la|las|los|esa|ese|esas|esos|eso|algo|mi|mis|mil|unos|unas|\d+|una|su|al|un|toda)?( (otra|ultima|vieja|vieja|primera|de|del|las))? ?{_CASA}\b|\b(quit|baj|sac)(e|a|en|ar|an|aria|arian)?(le|les|arle|enle) (a|el|la|algo|un|\d|unos|los)\b( \w+)?"
        r"|\b(sac|saqu|quit|borr)(ar|o|e|en|ue)? a mi (ex|esposo|esposa|hermano|papa|mama|hermana|socio)\b|\bsaqu?e?a?(me)? (una |la )?(cita|copia|basura)\b|\b(la|lo) (quit|sac)(aron|amos|e|o) (del|de la|de) (mercado|pagina|venta|anuncio|lista)\b|\b(borre|borro|perdi|elimine|borramos) (su|el|sin|la|tu|sus) (mensaje|numero|contacto|chat|app|correo|foto|querer)\b(?!.*\bno (me )?(escrib|llam|mand))|\bse (me )?(borro|elimino|perdio)\b"
        r"|\b(mensaje eliminado|eliminaste este mensaje)\b",
    ),
    (
        "zdejaotra",
        r"\bdej(e|en|ar|a|o|amos|emos|an|aron|o)?(me|nos|lo|la|los|las|ela|elo|ame|eme)? (la|las|el|los|un|una|su|mi|mis|ver|pensar\w*|preguntar\w*|checar\w*|consultar\w*|llegar|con|en \d|abierta|asi|a los|platicar\w*|hablar\w*|saber|revisar\w*|mi|recado|mensaje|sus|cosas|lavadora|muebles|que (lo|vea|piense|hable|termine|llegue))\b(?! (en paz|tranquil))"
        r"|\bno (me |nos )?dej(a|an) (dormir|entrar|firmar|abrir|ver|en paz hoy)\b",
    ),
    ("zsaleotra", r"\bsal(go|ir|imos|i|io|en|e|gan|ga) (de vacaciones|del trabajo|de la (escuela|ciudad|oficina)|a (comer|las|ver)|tarde|temprano|caro|al|el|la foto|en|los|algo|nada|a \d)\b|\bsalida (del|de|por)\b|\bfin (de|del) (semana|mes|ano)\b|\b(al|por|buen|en) fin(al)?\b"),
    ("zmolestiaotra", r"\b(no es|ninguna|disculpe la|perdon por la|perdone la|perdon la|perdona la|sin) molestia\b|\b(no quiero|no queria|no quisiera|disculp\w+ que|perdon\w* que|siento|perdon por|sin) (lo |la |los |le |les )?molest(ar|e|o|arlo|arla|arle|arlos|arles|arte)\b|\bno (me |nos )?molesta\b"),
)  # fmt: skip
_COMPILED = tuple((f" {sign} ", re.compile(pattern)) for sign, pattern in _SPANS)
# What a span is exchanged for.
SIGNS = frozenset(sign.strip() for sign, _ in _COMPILED)


def set_aside(words: str) -> str:
    """Text in plain form with each look-alike span exchanged for its sign."""
    for sign, pattern in _COMPILED:
        words = pattern.sub(sign, words)
    return re.sub(r"\s+", " ", words).strip()
