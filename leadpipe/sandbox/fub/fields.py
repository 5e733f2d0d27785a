"""The shapes of Follow Up Boss records: which fields exist, what they are when empty, what may be written.

What lives here: constants of the FUB sheet's sections 4 to 7. What does not: records (``store``).
"""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]

# What every read of a person shows (4.1); a record keeps only what differs.
PERSON: Row = {
    "createdVia": "API", "name": "", "firstName": "", "lastName": "", "stage": "Lead", "stageId": 2, "type": "Buyer",
    "source": "<unspecified>", "sourceId": 1, "sourceUrl": "", "leadFlowId": 7, "delayed": False, "contacted": 0,
    "price": None, "assignedLenderId": None, "assignedLenderName": None, "assignedUserId": None,
    "assignedPondId": None, "assignedTo": None, "tags": [], "emails": [], "phones": [], "addresses": [],
    "picture": None, "socialData": [], "websiteVisits": 0, "timeframeId": None, "timeframeUpdated": None,
    "timeframeStatus": None, "timeframeDateRange": None, "claimed": True, "dealStatus": None, "dealStage": None,
    "dealName": None, "dealCloseDate": None, "dealPrice": None, "firstToClaimOffer": False, "collaborators": [],
    "teamLeaders": [], "pondMembers": [],
}  # fmt: skip
# What only `fields=allFields` (or a name in `fields`) adds (4.2).
HIDDEN: Row = {
    "background": "", "lastCommunication": None, "lastReceivedEmail": None, "lastReceivedEmailId": None,
    "lastSentEmail": None, "lastSentEmailId": None, "lastEmail": None, "emailsReceived": 0, "emailsSent": 0,
    "lastIncomingCall": None, "lastIncomingCallId": None, "lastOutgoingCall": None, "lastOutgoingCallId": None,
    "lastCall": None, "firstCall": None, "callsIncoming": 0, "callsOutgoing": 0, "callsDuration": 0,
    "lastReceivedText": None, "lastReceivedTextId": None, "lastSentText": None, "lastSentTextId": None,
    "lastText": None, "textsReceived": 0, "textsSent": 0, "lastLeadActivity": None, "lastEmEventActivity": None,
    "lastReceivedInboxAppMessage": None, "lastSentInboxAppMessage": None, "lastSentBatchEmail": None,
    "lastSentActionPlanEmail": None, "lastDeliveredMarketingCampaign": None, "propertiesViewed": 0,
    "propertiesSaved": 0, "pagesViewed": 0, "lastIdxVisit": None, "nextTask": None, "nextTaskHasTime": None,
    "nextTaskName": None, "publishedInboxAppsForContact": [],
}  # fmt: skip
# The answer to POST is shorter (4.1).
NOT_IN_POST = frozenset(
    "dealStatus dealStage dealName dealCloseDate dealPrice firstToClaimOffer collaborators teamLeaders "
    "pondMembers".split()
)
# What an unclaimed lead shows (4.4).
UNCLAIMED = frozenset("id created name firstName lastName source sourceId delayed picture claimed".split())
# Bodies: an unknown key is a 400. Source and creation time cannot change afterwards (4.6).
UPDATABLE = frozenset(
    "firstName lastName stage contacted price assignedTo assignedUserId assignedPondId assignedLenderName "
    "assignedLenderId emails phones addresses tags background collaborators timeframeId type".split()
)
CREATABLE = UPDATABLE | {"createdAt", "source", "sourceUrl"}
SORTS = frozenset(
    "created updated name firstName lastName price stage lastActivity lastCommunication lastReceivedEmail "
    "lastSentEmail lastEmail emailsReceived emailsSent "
    "lastIncomingCall lastOutgoingCall lastCall firstCall callsIncoming "
    "callsOutgoing callsDuration lastReceivedText lastSentText lastText textsReceived textsSent lastLeadActivity "
    "lastEmEventActivity lastIdxVisit propertiesViewed propertiesSaved pagesViewed nextTask createdAt start dueDate "
    "status event orderWeight".split()
)

STAGES = ("Lead", "Contacted", "Nurture", "Hot Prospect", "Active Client", "Under Contract", "Closed", "Trash")
AGENTS = (("Dana Lee", "Broker"), ("Marco Ruiz", "Agent"), ("Priya Shah", "Agent"), ("Tom Becker", "Agent"))
OWNER_ID = 1
PIPELINE_STAGES = (("Offer", 101), ("Under Contract", 102), ("Closed", 103))
# The team's own; leadpipe's are created by ``leadpipe webhooks install``, as in a real account.
CUSTOM_FIELDS = (
    ("customConsentSms", "text"), ("customConsentText", "text"), ("customConsentAt", "text"),
    ("customConsentIp", "text"), ("customWhatsAppOptIn", "text"), ("customLanguage", "text"),
)  # fmt: skip

# The list's key in the answer, where it is not the path's own name (3.1).
LIST_KEYS = {
    "customFields": "customfields", "smartLists": "smartlists", "textMessages": "textmessages",
    "textMessageTemplates": "textmessagetemplates", "appointmentTypes": "appointmenttypes",
    "appointmentOutcomes": "appointmentoutcomes", "peopleRelationships": "peoplerelationships",
}  # fmt: skip
# Lists that answer only with one of these (3.4).
NEEDS_ONE_OF = {
    "textMessages": (
        "personId", "threadId", "phone", "toNumber", "fromNumber", "sharedInboxId", "groupTextId", "participants", "id",
    ),
    "emails": ("id", "inboxThreadId", "personId"),
}  # fmt: skip
COLLECTIONS = (
    "events", "notes", "calls", "textMessages", "emails", "tasks", "appointments", "deals", "emEvents",
    "actionPlansPeople", "webhooks", "webhookEvents", "peopleRelationships",
)  # fmt: skip
WITH_PERSON = frozenset("events notes calls textMessages emails tasks".split())

TASK_TYPES = frozenset(
    ("Follow Up", "Call", "Text", "Email", "Appointment", "Showing", "Closing", "Open House", "Thank You")
)  # fmt: skip
CALL_OUTCOMES = frozenset(("Interested", "Not Interested", "Left Message", "No Answer", "Busy", "Bad Number"))
REDACTED_TEXT = "* Body is hidden for privacy reasons *"

_CHILDREN = (
    "notes", "emails", "tasks", "appointments", "textMessages", "calls", "deals", "stage", "pipeline",
    "pipelineStage", "customFields", "dealCustomFields",
)  # fmt: skip
# Every event one may subscribe to (6.2).
EVENTS = frozenset(
    (
        "peopleCreated", "peopleUpdated", "peopleDeleted", "peopleTagsCreated", "peopleStageUpdated",
        "peopleRelationshipCreated", "peopleRelationshipUpdated", "peopleRelationshipDeleted", "eventsCreated",
        "emEventsOpened", "emEventsClicked", "emEventsUnsubscribed", "reactionCreated", "reactionDeleted",
        "threadedReplyCreated", "threadedReplyUpdated", "threadedReplyDeleted",
        *(child + change for child in _CHILDREN for change in ("Created", "Updated", "Deleted")),
    )
)  # fmt: skip
# What a body of POST or PUT may hold, where the sheet says so; elsewhere anything is stored.
BODY_KEYS = {
    "notes": frozenset("personId body subject isHtml".split()),
    "textMessages": frozenset("personId message toNumber fromNumber isIncoming externalLabel externalUrl".split()),
    "calls": frozenset(
        "personId phone isIncoming note outcome duration toNumber fromNumber userId recordingUrl".split()
    ),
    "tasks": frozenset(
        "personId name assignedUserId assignedTo type isCompleted dueDate dueDateTime remindSecondsBefore".split()
    ),
    "deals": frozenset(
        "name stageId peopleIds userIds price projectedCloseDate commissionValue agentCommission teamCommission "
        "description earnestMoneyDueDate mutualAcceptanceDate dueDiligenceDate finalWalkThroughDate possessionDate "
        "status".split()
    ),
    "appointments": frozenset(
        "title start end description location typeId outcomeId allDay timezone invitees".split()
    ),
    "webhooks": frozenset("event url status system".split()),
    "actionPlansPeople": frozenset("personId actionPlanId status".split()),
    "customFields": frozenset("label type choices isRecurring hideIfEmpty orderWeight".split()),
}  # fmt: skip
REQUIRED = {
    "notes": ("personId", "body"),
    "textMessages": ("personId", "message", "toNumber", "fromNumber"),
    "calls": ("personId", "phone", "isIncoming"),
    "tasks": ("personId", "name"),
    "deals": ("name", "stageId"),
    "appointments": ("title", "start", "end"),
    "webhooks": ("event", "url"),
    "actionPlansPeople": ("personId", "actionPlanId"),
    "customFields": ("label", "type"),
}  # fmt: skip
CUSTOM_FIELD_TYPES = frozenset("text date number dropdown".split())
