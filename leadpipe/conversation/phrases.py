"""Stock phrases that refuse, in English and Spanish, over text in plain form.

What lives here: the patterns and the look-alikes that must not hit ("can I stop by at 5?"). What does not: keywords and
what a refusal covers (``optout``). Each pattern stands for one way to say it; the order inside a group has no meaning.
"""

# ruff: noqa: E501 - one way to say it a line; broken patterns read worse than long ones
from __future__ import annotations

import re
from functools import lru_cache

_WRITING = (
    r"(text\w*|message\w*|messaging|contact\w*|call\w*|email\w*|mail(s|ing|ings)?|writ(e|ing)|send\w*|spam\w*|"
    r"bother\w*|harass\w*|annoy\w*|pester\w*|bug(ging)?|hitting me up|reach(ing)? out|blowing up|communicat\w+|"
    r"notif\w+|solicit\w*|ping(ing|s)?|phon(e|ing)|whatsapp\w*|these|this (spam|crap|shit|nonsense)|marketing|updates|alerts|"
    r"newsletters?|sms)"
)
_BETWEEN = (
    r"((all|any|the|these|those|this|your|ur|with|sending|me|us|with|of|automated|fucking|damn|please|contact) ){0,4}"
)
_VERB = (
    r"(text|message|call|contact|email|mail|write|bother|reach out|send|ping|hit me up|solicit|spam|phone|disturb|"
    r"whatsapp|annoy|harass|pester|try to reach|communicate)"
)
_ENDINGS_ES = (
    r"(escrib(a|an|as|ir\w*)|mand(e|en|es|ar\w*)|contact(e|en|es|ar\w*)|llam(e|en|es|ar\w*)|envi(e|en|es|ar\w*)|"
    r"molest(e|en|es|ar\w*)|text(ee|een|ees|eo|ear\w*)|habl(e|en|es|ar\w*)|busqu(e|en|es)|marqu(e|en|es)|insist(a|an|as)|"
    r"vuelv(a|an|as) a|sig(a|an|as)|moleste)"
)

OPT_OUT: tuple[str, ...] = (
    r"^(please )?(stop|cancel|quit|end|unsubscribe|alto|parar|basta|cancelar)( (it|this|please|now))?( (but|pero|and|y))?( many| muchas| so much)? ?(thanks|thank you|thx|ty|gracias)( (so|very) much)?( (for|por) .{0,40})?$",
    rf"(?<!dont )(?<!never )(?<!cant )(?<!didnt )(?<!did you )(?<!not )(?<!wont )\b(stop|quit|cease|discontinue|halt) {_BETWEEN}{_WRITING}\b",
    rf"(?<!why )(?<!they )(?<!you )(?<!we )(?<!i )(?<!he )(?<!she )\b(dont|never|no longer|not to|not) (ever |you |u |please |even |you ever )?{_VERB}\b"
    r"(?! (before|after|until|till|during|on (the )?weekends?|at (work|night|\d)|if|\w+ (before|after|until|till|during|at (work|night))))",
    rf"\b(told|said|asked|ask|want|tell) (you )?(to )?(not to|dont|never|stop) {_BETWEEN}{_WRITING}",
    rf"\bno more {_BETWEEN}{_WRITING}",
    r"(?<!dont )(?<!not )(?<!never )\b(remove|delete|erase|scrub|purge) (me|us|this (number|email|contact)|"
    r"(my|our) (number|name|email|phone|info\w*|contact\w*|data|details|cell))\b"
    r"(?! (from|off) (the )?(showing|appointment|tour|call|meeting|loan|title|deed))",
    r"(?<!dont )(?<!not )(?<!never )\b(take|get|drop|strike|cross|scratch|pull|leave|kick) (me|us|this (number|email)|"
    r"(my|our) (number|name|email|phone|info\w*|contact\w*))( \w+){0,2} (off|out of|from) ",
    r"(?<!dont )(?<!not )(?<!never )\b(take|get|drop) (me|us|my (number|name|email)) off\b",
    r"(?<!off )\b(want|like|need|asked|wish|ask|request\w*)( \w+){0,3} (off|removed|to be removed|deleted|taken off|off of)( \w+)? "
    r"(this|your|ur|the|any|all|these|mailing|contact|call|text|email|from)\b(?! (market|table))",
    r"\boff (of )?(your|ur|this|that) (\w+ )?(list|database|system)\b",
    r"\bremoved? from (your|ur|this|the|all|any) (\w+ )?(lists?|database|mailing|system|campaign|contacts|group)",
    r"(?<!dont )(?<!didnt )(?<!never )(?<!not )(?<!dont want to )(?<!didnt mean to )(?<!not to )(?<!wish to not )\bunsubscribe\b",
    r"(?<!dont )(?<!dont want to )\bopt(ing|ed)? ?out\b(?! of (the |an? |my |our )?(hoa|inspection|contract|contingenc|warranty|"
    r"association|escrow|insurance|pmi|program|deal|lease|offer))",
    r"\b(leave|let) (me|us) (the \w+ )?(alone|be|in peace)\b",
    r"\b(go away|get lost|buzz off|take a hike|beat it|scram|kick rocks|drop dead|piss off|back off|bugger off|f+u?c?k? off|fuck (you|u)|screw you|eff off|get out of my phone)\b",
    r"\b(lose|forget|drop|erase) (my|this) (number|email|phone)\b|\blose (the|our) number\b",
    r"\b(dont|no longer|not|never) (want|wish|care|need)( to)?( ever)? (get|getting|receive|receiving|hear|be contacted|be texted|"
    r"be called|be emailed|be messaged|your|these|any( more| further| other)? (texts?|messages?|emails?|calls?|contact|communication)|"
    r"(any )?more (texts?|messages?|emails?|calls?)|texts|messages|emails|calls)\b(?! (outbid|approval|back|price|too|about (the )?(schools|area)))",
    r"\b(revoke|withdraw|rescind|retract|pull) (my |our |all |any )?(consent|permission|authorization)\b",
    r"\b(did not|didnt|dont|do not|never|not) (give|gave|given|have|had)? ?(you )?(my |any )?(consent|permission|authoriz\w+)\b",
    r"\b(enough|tired|sick|done) (with |of )?(the|these|your|all (the|these)|getting|ur|receiving|already with) (\w+ )?"
    r"(texts?|messages?|emails?|calls?|spam|texting|messaging)",
    r"\b(i am|im|i will|ill|am) (block|report)\w* (you|this|your|u)\b",
    r"^(i |we )?dont want( this| these| any of (this|it))?( please)?( ?[.]|$)",
    r"\bblock(ing|ed) (you|this (number|sender)|your number)\b",
    r"\b(dont|do not|no|not) (want|need)( any)? (further|more) (contact|communications?)\b",
    r"\b(no|zero) (further|more|additional) (contact|communications?|texts?|messages?|emails?|calls?)\b",
    r"\b(cancel|end|terminate|discontinue) (my |the |this |these |all |your )?(subscription|texts?|messages?|alerts|emails?|notifications|updates|sms)\b",
    r"\b(turn|shut|switch) (off )?(these|the|this|your) (\w+ )?(texts?|messages?|emails?|alerts|notifications|bot)\b",
    r"\bnever (text|contact|call|email|message|write|bother) (me|us|this)\b",
    r"\b(dont|do not) (contact|text|call|email|message) (me|us|this (number|address))\b(?! (before|after|until|till|during|on|at|if|unless))",
    r"\bput (me|us|this number) on (your|the|ur) (do not|dont|no) (call|contact|text)",
    r"\b(no more|stop|enough)( please)? (bot|bots|robot|robots|automated)\b",
    r"\b(end|cease|halt|terminate|discontinue) (all |any |further |this |your |these )+(\w+ )?(communications?|contact|correspondence|outreach)\b",
    r"\b(be|being|wish to be|want to be|like to be|prefer to be) left (alone|in peace)\b|^(please )?(cease|desist)( please)?( ?[.]|$)",
    r"\bplease (just )?(stop|quit|cease)\b(?! (by|in|over|at|looking|searching|and|calling it))(?= ?([.?]|$|thank|now|already|it|this|that|immediately))",
    r"^(i said |just |ok |okay |seriously |for the last time |omg |ugh |hey |yo |sir |maam )*(stop|basta|alto)( (it|this|that|now|already|please|man|"
    r"dude|bro|stop|right now|immediately|thanks|thank you|ok|i said|for good|today|asap))*( ?\.|$)",
    r"\b(asked|told|begged|ask|tell|telling|asking) (you|u|yall|you guys|you people|them)( \w+){0,2} to (stop|quit|unsubscribe|remove|take)\b",
    r"\b(no|not another|zero) (texts?|texting|messaging|spam|emails)( (please|thanks|thank you))*( ?[.]|$)",
    r"\b(second|third|fourth|fifth|last|final) (time|request|warning)( \w+)? (stop|unsubscribe|remove)\b|\b(make|get) (it|them|these|this)( \w+)? (to )?stop\b",
    r"\b(how|where|way)( \w+){0,4} (to |i )?(unsubscribe|opt ?out|stop (receiving|getting|these|the (texts|messages|emails)|this))\b|\b(messages|texts|emails|these|this) to (stop|end)\b",
    r"\b(prefer|rather|wish|like|want|ask|request)\w* (you )?(not to (be|hear|get|receive)|no (contact|texts|messages|calls))\b|\brather you (didnt|not|dont) (text|call|contact|message|email|write)",
    r"\b(gonna|going to|will|gotta|about to) block\b|\bopt me out\b|\b(want|like|need|get me|let me) out of (this|your|the) (list|group|chat|thread)\b",
    r"\b(would|could|can|will) (you|u|yall)( guys| all)?( please| mind| kindly)* (not|stop) (text|call|email|mail|messag|contact|writ|reach)\w*"
    r"(?! (\w+ )?(before|after|until|till|during|at|while|on))",
    r"^(please |ok |hey )?(cut it out|knock it off|give it a rest|enough( already| now| please)?|thats enough|quit it)( ?[.]| (with|of) |$)",
    r"\bkeep(s)? (texting|calling|emailing|messaging|contacting) (me|us)\b.* stop\b|\byou( have been| were| are|re) blocked\b",
    r"^(?!.*\b(dont|cant|wont|never|not|didnt|doesnt|bus|train|subway|metro|tram|trolley|pit|truck|next|last|first|the|a|one|non|full|this|"
    r"rest|where|shuttle|school|to|should|we|i|quick|short)\b( \w+)? stop)(\w+ ){1,6}stop( ?[.]|$)",
    # Spanish
    r"\b(paren|pare|parenle|parale) ya (con|de)\b|\bya no (me|nos) (contact|escrib|mand|llam|envi)(e|en|a|an)\b|\bya no mand(e|en)\b",
    r"\bno (me )?(este|esten|anden) (mand|escrib|llam|molest|envi)\w+|\b(quiero|como)( me)? (salgo|salir|salirme) de (la|esta|su|esto)\b|\bme quiero salir\b",
    r"\b(no|nunca|jamas) (me |nos |le |les )?(vuelv(a|an|as|o)|volv(ais|amos)) a (escribir|mandar|contactar|llamar|enviar|molestar|textear|hablar|buscar|marcar|insistir|preguntar)(me|nos|le)?\b",
    rf"\b(no|ya no|nunca|jamas) (me|nos|le|les|te)? ?(vuelv(a|an|as) a )?{_ENDINGS_ES}\b(?! (antes|despues|hasta|de la|el precio))"
    r"(?= ?(a |al |mas|nunca|por favor|mensajes|textos|correos|emails|de |otra|nada|este|a este|en |$|[.?]|ya|ni |llam\w|whatsapp|sms|informa\w+|publicidad|tanto\w*|me))",
    r"\b(ya )?no (quiero|queremos|deseo|deseamos|quisiera|necesito) (que me |que nos |seguir |mas |recib\w+|saber|sus |estos |ningun)"
    r"( ?(mas|contact|escrib|llam|mand|envi|molest|recib|nada|de ustedes|mensaj|text|corre|llamad|informacion|publicidad|promo|sus|estos|email|oferta)\w*)+",
    r"(?<!no )\bdej(e|en|a|ar|es) (ya )?de (escribir|mandar|contactar|llamar|enviar|molestar|textear|recibir|marcar|insistir|acosar|fastidiar|chingar|estar)\w*",
    r"(?<!no )\bdej(e|en|a|es)?(me|nos|nme|nos|enme|eme|ennos|enos|anme|ame)\w* (en paz|tranquil\w+|ya de)",
    r"(?<!no )(?<!no me )\b(quit|borr|elimin|saqu|sac|retir|remuev|remov|quiten|tach)(e|en|a|ar|es|o)?(me|nme|nos|rme)\b",
    r"(?<!no )\b(quit|borr|elimin|saqu|sac|retir|remuev|remov|suprim)(e|en|a|ar|an|ir|ame)?n? (mi|mis|nuestro|este) (numero|correo|nombre|contacto|datos|telefono|email|informacion)",
    r"\b(dar|darme|denme|deme|darnos|doy|quiero|solicito|pido|dame)( la| una| mi)?( de)? baja\b",
    r"\b(cancel\w+|anul\w+|termin\w+) (la |mi |esta |mis |los |estos |las )?(suscrip\w+|mensajes|alertas|textos|correos|avisos|notificaciones)\b",
    r"\b(desuscrib|dessuscrib|desinscrib)\w+",
    r"\bno (autorizo|consiento|doy permiso|he dado permiso|di permiso|di mi)\b",
    r"\b(no|ya no|ni) mas (mensajes?|textos?|correos?|llamadas?|emails?|publicidad|spam|whatsapps?|por favor)\b",
    r"^(por favor )?(ya no mas|no mas|ya basta|basta ya|ya estuvo|ya paren?|paren? ya|paren|alto ya|detenganse|ya)( por favor| gracias| mensajes)*( ?[.]|$)(?<!^ya)",
    r"\b(basta|alto|suficiente) (de|con|a) (tantos |los |sus |estos |tanto )?(mensajes?|textos?|correos?|llamadas?|spam|publicidad|molestar|acoso)",
    r"\b(paren|pare|para|parar|detengan|detenga|detener) (ya )?(de|con|los|estos|sus) (escribir|mandar|enviar|llamar|molestar|mensajes|textos|correos|llamadas|mensajear|textear|spam)\w*",
    r"\b(pierda|borre|olvide|olviden|olvidese de) (mi|este) (numero|telefono|correo)\b",
    r"\b(larguese|larguense|vayase|vayanse|vete|fuera de aqui|a la chingada|no molest(e|en|es)|no estorbe)\b",
    r"\b(saquen|saque|saca|sacar|quiten|quite|quita|quitar|borren|borre|eliminen|elimine) ?(me)? de (la|su|sus|esta|todas las) (lista|listas|base)\b",
    r"\bvo?y a bloquear\w*|\blos? (voy a bloque|bloqueo)\w*",
)

WRONG_NUMBER: tuple[str, ...] = (
    r"\b(the )?wrong (number|person|phone|cell|guy|girl|lady|man|dude|gal|email|contact|num|nbr|recipient|individual|#)\b(?! of\b)(?! (of )?(for|on) (the )?listing)",
    r"^(sorry )?wrong #",
    r"\bmy name (is not|isnt|aint) [a-z]+|\b(yo )?no me llamo [a-z]+|\bmi nombre no es [a-z]+",
    r"\byou(ve| have)? reached (the|a|an|our|my) (?!out)(\w+ ){0,3}(office|business|company|store|shop|clinic|school|church|restaurant|fax|line)\b",
    r"\bincorrect (number|phone|email address|person|recipient)\b|\bmisdial\w*",
    r"\bwho is (this|dis)\b.*\b(never|didnt|not|dont) (asked|ask|signed|sign|contact|request|inquir|know you|looking)",
    r"\bi? ?(never|didnt) (asked|ask|signed up|sign up|requested|request|inquired|inquire|registered|register|subscribed|contacted|contact you|gave you|reached out|reach out|filled|fill)"
    r" ?(for|to|about|you|out)? ?(this|these|that|any of this|anything|your|to be|info|information|texts|messages|you|any|my (number|info)|a form|(a|any|the|your) (house|home|property|listing|place)|houses|homes|real estate)?( ?([.?]|$)| .*(who|number|wrong|where|how|stop|spam))",
    r"\bwho (is this|dis|is dis|r u|are you|you)\b.*\b(dont|do not|never) (know|heard|met)\b",
    r"^(no |nope |sorry |um |hi )*(thats|that is|that isnt|this is|this isnt|thats)( not)? (not )?me( ?[.]| sorry|$)(?<!^this is me)(?<!^thats me)",
    r"^(sorry |no |hi |hey |but )*(im|i am|this is) not (?!interested|looking|sure|ready|buying|selling|home|available|able|going|done|able|free|in |a |the |at |your |really |currently |very |from |that|so |too |ok|okay|comfortable|happy|working|moving|an )[a-z]+( ?[.]| sorry|$)",
    r"\b(no longer|not|isnt|aint) (her|his|their|my|the right|the correct) (number|phone|cell|email)\b",
    r"\b(she|he|they) (has |have )?(changed|switched|got a new) (her|his|their|a)? ?(phone )?(number|phone|numbers)\b",
    r"\b(not|isnt|aint) (the |that )?(person|guy|one|lady) (you|that you|who you|youre|ur|named)\b",
    r"\b(nobody|no one|noone|theres no|there is no|there isnt (a|any|anyone|anybody)) (\w+ )?(by that name|named|called|with that name|here by|here named|at this number)\b",
    r"\b(this|that) (isnt|is not|aint) (\w+s?|\w+ \w+)s? (phone|number|cell|email|inbox)\b",
    r"\b(number|phone|email|cell) (does not|doesnt|no longer|dont) belong",
    r"\b(this (is )?(number|phone|cell|email)|number) (belongs|now belongs) to (someone|somebody|me now|a different|another)",
    r"\b(i )?(just|recently) got this (phone )?(number|phone)\b|\bgot this (number|phone) (\w+ ){0,3}(ago|recently|new)\b",
    r"\b(i )?(have )?had this (number|phone) for (\w+ )?(years|months|\d+)",
    r"\b(this is )?(a |my )?new (number|phone number).*(previous|old|prior) owner|\b(previous|prior|old) owner of this (number|phone)\b",
    r"\b(i am|im) not (a )?(him|her|that person|this person|the person|whoever)\b",
    r"\b(not me|isnt me)\b.*\b(number|person|looking)|\b(texted|messaged|called|contacted|emailed|reached) (the )?(wrong|incorrect)\b",
    r"\byou (have|got|must have|probably have|might have|texted) the wrong\b(?! (price|address|idea|house|listing|photo|info\w* (on|about|for)))",
    r"\b(dont|do not|doesnt) know (any|a|anyone|who)( one)? ?(named|called|by that name|that person|youre looking|this is for|you are looking)\b",
    r"\b(numero|telefono|persona|correo|celular|num) (equivocad\w+|incorrect\w+|erroneo|que no es)\b|\bequivocad[oa]( de)? (numero|persona|telefono)?\b(?! (el|la|en|con) (precio|direccion))",
    r"\bse (han? )?(equivoco|equivocado|equivocaron|confundio|confundieron)\b(?! (en|con) (el|la) (precio|direccion))|\bequivoco de (numero|persona)\b",
    r"\b(yo )?no soy (esa|la|el|ese|quien|a quien)\b( \w+)? ?(persona|senor\w*|que|busca\w*|mencion\w*|dueno)?|\bno soy yo\b",
    r"\baqui no (vive|hay|esta|es|trabaja|existe)\b|\bno (vive|existe|hay nadie) (aqui|con ese nombre)\b",
    r"\bno conozco a (\w+|nadie|esa)\b|\bno se quien es\b(?! (el|la) (agente|vendedor))",
    r"\b(este|ese|el) (numero|telefono|celular) (ya )?no (es|le pertenece|pertenece|corresponde)\b|\bya no es (el|su|mi) (numero|telefono)\b",
    r"\bcambio de (numero|telefono)\b|\btengo este (numero|telefono) (nuevo|hace|desde)\b|\bacabo de (adquirir|recibir|obtener|sacar) este numero\b",
    r"\bquien (es|eres|habla|son)\b.*\bno (pedi|solicite|pregunte|contacte|me registre|conozco|los conozco)",
    r"\b(yo )?nunca (pedi|solicite|pregunte|me registre|me inscribi|me suscribi|los contacte|di mi numero)\b",
)

COMPLAINT: tuple[str, ...] = (
    r"\b(hear|hearing) from (my|our|an?) (lawyers?|attorneys?|legal)\b",
    r"\b(call|calling|contact|contacting|consult\w*|get|getting|have|having|hire|hiring|speak\w* (to|with)|talk\w* (to|with)|forward\w*( this)? to|"
    r"turn\w* (this|it) over to|send\w* (this|it) to) (my|our|a|an) (lawyer|attorney|legal team)\b(?! (look|review|about the (contract|deed|title|closing)|to (review|look|help|do the)))",
    r"\b(my|our) (lawyer|attorney) will (be )?(contact|call|reach|sue|hear|in touch|handle this harass)\w*",
    r"\b(sue|suing) (you|your|u|this)\b|\bgoing to sue\b|\b(will|gonna) sue\b|\bsee (you|me) in court\b|\btake (you|this) to court\b",
    r"\b(lawsuit|class action|legal action|small claims)\b(?!.*\b(hoa|title|neighbor|property has|divorce)\b)",
    r"\bsee (you|u|yall) in court\b|\btcpa\b|\b(file|filing|filed|make|making|submit\w*|lodge) (a |an |formal |my )*(complaint|grievance|report) ?(with|against|to|about|$|[.])",
    r"\b(fcc|ftc|attorney general|better business bureau|bbb|consumer protection|state board|real estate commission|licensing board|real estate board)\b(?!.*\b(rating|accredited|rated)\b)",
    r"\breport(ed|ing)? (you|u|this (number|to|as|company|harass)|your (number|company|broker\w*)|it to)\b|\bwill be report(ed|ing)\b",
    r"\bharass(ing|ment|ed|er)?\b(?!.*\bdont mean\b)",
    r"\b(this|these|that|its|it|all)( texts| messages| emails)? (is|are|s) (just |all |pure |total |nothing but |illegal )*(spam|a scam|scam|harass\w*|illegal|fraud|unsolicited)\b(?!.*\?)",
    r"\b(spamming|spammers?|scammers?|scamming|telemarketers?)\b(?!.*\b(folder)\b)|\bstop (the |your |with the |this )*spam\b|\b(mark\w*|flag\w*|report\w*)( \w+){0,2} as (spam|junk)\b(?!.*\b(accident|mistake|it was|got)\b)",
    r"\bwhat a scam\b|\bprivacy (violation|breach)\b|\bstalking (me|us)\b|\bborder(s|ing|line)( on)? (stalking|harass\w*)\b",
    r"^(spam|scam|fraud|spammer|scammer)( ?[.])*$",
    r"\b(cease and desist|do not call (list|registry)|dnc (list|registry)|(on|national) (the )?do not call|dont call (list|registry))\b",
    r"\b(call|calling|called|contact\w*|notify\w*) (the )?(police|cops|sheriff|authorities|fbi)\b",
    r"\b(unacceptable|disgusting|outrageous|appalling|ridiculous|unprofessional|worst|terrible|horrible|awful|shameful|disgraceful|shady|deceptive)\b.*"
    r"\b(service|company|agent|realtor|broker\w*|people|customer|behavior|texts|messages|practice|practices|experience|business|you (people|guys))\b",
    r"\b(invasion of (my )?privacy|violat\w+ (of )?(my|the|federal|privacy|law)|against the law|breaking the law|how did you get my (number|info|email|name).*"
    r"(illegal|report|unacceptable|privacy|sold|stop|delete)|discriminat\w+|who sold (you )?my)\b",
    r"\b(i want to (complain|speak to (a|your) (manager|supervisor) about)|formal complaint|i complain|complaint about)\b",
    r"\b(los? (voy|vamos) a (demandar|denunciar|reportar)|voy a (demandar|denunciar|reportar|quejarme)|les? (voy a )?(pongo|poner) una (demanda|queja|denuncia))\w*",
    r"\b(denunci|demandar)(o|are|ar|aremos|alos|arlos|los)\b|\b(los|las|les|te) (denunci|report|demand)(o|are|aremos|amos)\b",
    r"\b(reportarlos|denunciarlos|demandarlos|reportarl[oe]s?|los reportare)\b",
    r"\b(acoso|hostigamiento|acosando|hostigando|estafa|estafadores|fraude)\b(?!.*\?)",
    r"\b(mi|nuestro|con mi|llamar a mi|un) abogado\b(?!.*\b(revis\w+|contrato|cierre|escritura\w*|herencia|titulo|migra\w+)\b)",
    r"\b(esto|eso) es (spam|ilegal|una estafa|un fraude|acoso|inaceptable|un abuso|una falta de respeto)\b|\bson unos (estafadores|abusivos|ladrones|acosadores)\b",
    r"\b(presentar|poner|levantar|meter|interponer) (una |mi )?(queja|denuncia|demanda)\b|\bllamar(e)? a la policia\b|\bviola\w* mi privacidad\b",
    r"\b(pesimo|terrible|horrible|mal) (servicio|trato|atencion)\b|\bque (falta de respeto|abuso|descaro)\b",
)

# Said of something else, they take a hit back: a wish that we go on, or a stop that is a place.
NOT_A_REFUSAL: tuple[str, ...] = (
    r"\b(dont|never|please dont|do not ever) (ever )?(stop|quit|remove|unsubscribe|take|delete)\b(?!.*\b(dont|never) (text|contact|call|email|message))",
    r"\b(why|how come) (did|have|havent|dont|didnt|do|are) (you|u|they) (guys )?(stop|stopped|remove|removed|not|unsubscribe|call|text|email|write|send|ever)",
    r"\b(didnt|dont|did not) (mean|want|intend|wish|ask|need) to (unsubscribe|opt ?out|stop|be removed|cancel)",
    r"\b(accident\w*|by mistake|mistakenly)\b.*\b(unsubscribe|stop|opt ?out|cancel|spam)|\b(unsubscribe|stop|opt ?out|spam|junk)\b.*\b(by accident|by mistake|accidentally)",
    r"\b(spam|junk) (folder|filter|box|mail folder)\b|\b(went|goes|going|landed|ended up|found (it|this|your \w+) in|end up) (in|to|into)? ?(my )?(spam|junk)\b",
    r"\b(re ?subscribe|sign me (back )?up|add me back|put me back on|keep (texting|sending|emailing|them coming|me posted|in touch))\b",
    r"\b(wait ?list|waiting list)\b|\bunsubscribe from (zillow|redfin|trulia|realtor|them|their|another|other|theirs)\b",
    r"\b(dont|do not|not|hold off|no need to|no me) (to )?(call|text|email|contact|write|reach|message|llam|escrib|contact)\w*( out)?( (to )?(me|us))? (until|till|before|hasta|antes)\b",
    r"\b(warranty|hoa|pmi|inspection|escrow|insurance|contingenc\w+)\b.*\bopt ?out\b",
    r"\bno (dejen?|deje|pare|paren|quite|quiten|cancele|cancelen|borre|borren) (de|las|los|mi)\b",
    r"\bpor que (no|ya no) (me|nos) (han|ha|mand|llam|escrib|contest|respond|envi)\w*",
)


@lru_cache(maxsize=8)
def _compiled(patterns: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern) for pattern in patterns)


def says(words: str, patterns: tuple[str, ...]) -> bool:
    """Whether text in plain form holds one of the patterns."""
    return any(pattern.search(words) for pattern in _compiled(patterns))


def first_of(words: str, patterns: tuple[str, ...]) -> int | None:
    """Where the first of the patterns begins in text in plain form; None when it holds none."""
    found = (pattern.search(words) for pattern in _compiled(patterns))
    return min((match.start() for match in found if match), default=None)
