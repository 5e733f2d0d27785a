"""Every rule of compliance.md, C1 to C50, has a case or a named test; one without fails here."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import lru_cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
RULES = range(1, 51)
# What a message's verdict cannot show alone is held by these tests.
IN_OTHER_ROOMS: dict[int, dict[str, tuple[str, ...]]] = {
    2: {
        "consents/test_consents_import.py": (
            "test_a_bare_yes_is_an_inquiry_as_old_as_the_person",
            "test_written_consent_without_a_part_of_its_proof_is_an_inquiry_and_the_part_is_named",
        ),
    },
    3: {"consents/test_consents_import.py": ("test_consent_to_another_seller_is_at_most_an_inquiry",)},
    6: {
        "conversation/test_conversation_classify.py": (
            "test_a_stop_that_is_none_suppresses_nothing",
            "test_a_refusal_suppresses_however_it_is_typed",
            "test_no_interest_is_no_legal_opt_out",
        ),
        "conversation/test_conversation_inbound.py": (
            "test_unsubscribing_from_emails_by_text_ends_both",
            "test_cancel_while_an_appointment_is_being_arranged_opts_out_and_asks_a_person",
        ),
        "conversation/test_conversation_replies.py": (
            "test_a_refusal_in_free_words_suppresses_and_a_doubtful_one_is_told_to_a_person",
        ),
    },
    7: {
        "conversation/test_conversation_inbound.py": (
            "test_a_stop_ends_every_telephone_channel_and_cancels_what_waits",
            "test_stops_and_claims_at_once_never_let_a_message_go_after_its_stop",
        ),
        "monitoring/test_monitoring_revocations.py": (
            "test_ten_business_days_are_counted_as_the_law_does",
            "test_whatever_way_it_came_one_that_took_minutes_is_told_with_the_laws_last_day",
        ),
        "gateway/test_gateway_twilio.py": (
            "test_stop_suppresses_every_phone_channel_and_cancels_what_waits_before_it_is_answered",
        ),
    },
    9: {
        "messaging/test_messaging_suppression.py": (
            "test_a_refusal_cancels_what_waits_on_its_channels_for_every_person_and_plan",
        ),
    },
    10: {
        "conversation/test_conversation_inbound.py": (
            "test_start_lifts_the_channel_it_came_by_and_no_other",
            "test_yes_lifts_a_stop_as_it_does_at_the_carrier_and_is_read_as_an_answer_too",
        ),
    },
    18: {"crm/test_crm_poll.py": ("test_the_crm_s_unsubscribes_become_suppressions_once",)},
    20: {
        "messaging/test_messaging_suppression.py": (
            "test_a_wrong_number_leaves_every_person_without_it_and_with_their_email",
        ),
        "crm/test_crm_contact_points.py": ("test_a_number_that_was_called_wrong_stays_detached_whatever_the_crm_says",),
    },
    22: {
        "gateway/test_gateway_unsubscribe.py": (
            "test_a_get_shows_the_page_and_never_unsubscribes",
            "test_a_link_works_for_ever_and_for_a_merged_person",
        ),
    },
    23: {
        "gateway/test_gateway_unsubscribe.py": (
            "test_one_click_twice_is_200_twice_and_one_suppression",
            "test_one_click_unsubscribes_without_cookie_or_redirect",
        ),
    },
    25: {
        "gateway/test_gateway_ses.py": (
            "test_a_hard_bounce_and_a_complaint_override_a_delivery_and_suppress_once",
        ),
        "messaging/test_messaging_email_rates.py": (
            "test_marketing_email_of_a_plan_rests_until_a_person_resumes_it_and_answers_go_on",
            "test_aged_addresses_get_so_much_a_day_and_the_others_wait_their_turn",
        ),
    },
    28: {
        "conversation/test_conversation_inbound.py": (
            "test_help_by_text_is_answered_by_the_carrier_and_by_whatsapp_is_read",
        ),
    },
    33: {
        "privacy/test_privacy_requests.py": (
            "test_c33_the_clock_counts_business_days_and_then_days",
            "test_c33_from_receipt_nothing_goes_by_any_channel",
        ),
        "privacy/test_privacy_export.py": ("test_everything_about_one_person_and_nothing_about_another",),
        "privacy/test_privacy_erase.py": (
            "test_found_everywhere_before_and_nowhere_after_and_the_next_poll_brings_nothing_back",
        ),
    },
    34: {
        "privacy/test_privacy_erase.py": (
            "test_merged_records_go_together_and_a_shared_address_stays_with_the_other_and_is_silent",
        ),
    },
    35: {
        "conversation/test_conversation_decision.py": ("test_a_social_security_number_is_put_before_a_person",),
        "conversation/test_conversation_inbound.py": ("test_a_social_security_number_is_never_stored",),
        "conversation/test_conversation_openai.py": (
            "test_what_goes_out_is_redacted_delimited_not_stored_and_carries_no_address",
        ),
    },
    37: {
        "monitoring/test_monitoring_fairness.py": (
            "test_a_group_that_waits_longer_and_is_reached_less_is_marked",
            "test_small_groups_are_withheld_and_cannot_be_counted_back",
        ),
        "outreach/test_outreach_planner.py": (
            "test_the_words_do_not_depend_on_the_name_or_the_zip_of_a_person",
        ),
        "outreach/test_outreach_first_touch.py": (
            "test_a_lead_answers_within_the_same_words_whatever_their_name",
        ),
        "outreach/test_outreach_property_alerts.py": ("test_equal_wishes_get_equal_homes_whatever_the_name",),
        "conversation/test_conversation_replies.py": (
            "test_a_spanish_lead_is_answered_in_spanish_by_mail_under_their_own_subject",
        ),
    },
    38: {
        "conversation/test_conversation_qualification.py": ("test_nothing_protected_is_kept_as_a_fact",),
        "conversation/test_conversation_decision.py": (
            "test_a_question_about_an_area_gets_sources_and_no_opinion",
            "test_the_areas_people_are_answered_with_where_to_look_and_a_person_decides",
        ),
    },
    41: {
        "outreach/test_outreach_homes.py": (
            "test_a_message_starts_by_what_was_seen_of_its_home",
            "test_the_claim_knows_what_became_of_the_home_since",
            "test_a_look_that_nobody_renews_is_none_after_a_day",
        ),
    },
    42: {
        "conversation/test_conversation_replies.py": (
            "test_a_bot_that_is_asked_says_so_and_offers_a_person",
        ),
    },
    43: {
        "conversation/test_conversation_decision.py": (
            "test_subjects_for_people_are_told",
            "test_with_some_subjects_nothing_is_sent_and_automation_stops",
        ),
        "conversation/test_conversation_inbound.py": (
            "test_a_complaint_ends_all_contact_pauses_automation_and_calls_a_person",
        ),
    },
    44: {
        "messaging/test_messaging_records.py": ("test_c44_one_query_says_why_a_message_went",),
        "audit/test_audit_seal.py": (
            "test_what_was_written_is_sealed_once_and_found_as_it_was",
            "test_a_changed_missing_or_reordered_row_is_found",
        ),
        "explain/test_explain_replay.py": (
            "test_every_message_is_made_again_and_each_change_of_what_it_was_made_from_is_told",
        ),
        "privacy/test_privacy_rules.py": (
            "test_retention_names_tables_and_columns_that_exist_and_keeps_what_the_law_wants",
        ),
    },
    45: {
        "policy/test_policy_packs.py": (
            "test_a_missing_part_is_named_and_nothing_is_judged",
            "test_an_empty_folder_judges_nothing",
            "test_c45_a_file_that_is_not_the_one_that_came_along_judges_nothing",
        ),
        "messaging/test_messaging_records.py": (
            "test_c45_while_the_rules_cannot_be_read_messages_wait_and_afterwards_they_go",
        ),
    },
    50: {
        "conversation/test_conversation_privacy.py": (
            "test_who_says_to_be_a_minor_is_written_to_no_more_whoever_resumes_automation",
        ),
    },
}  # fmt: skip
_CASE = re.compile(r"C(\d{1,2}) \S")
_NAME = re.compile(r"test_c(\d{1,2})_")


def cases_by_rule() -> dict[int, list[str]]:
    """Names of cases (``C12 Miami 20:15``), tables (``"C36": [...]``) and tests (``test_c45_...``) of tests/policy."""
    found: dict[int, list[str]] = defaultdict(list)
    for path in sorted(Path(__file__).parent.glob("test_policy_*.py")):
        if path.name == Path(__file__).name:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and (match := _NAME.match(node.name)):
                found[int(match[1])].append(node.name)
            # A name stands first in its row; what follows is the case.
            elif isinstance(node, ast.Tuple) and len(node.elts) >= 2 and (match := _CASE.match(_text(node.elts[0]))):
                found[int(match[1])].append(_text(node.elts[0]))
            elif isinstance(node, ast.Dict):
                for key, value in zip(node.keys, node.values, strict=True):
                    rule = re.fullmatch(r"C(\d+)", _text(key))
                    if rule and isinstance(value, ast.List) and value.elts:
                        found[int(rule[1])].append(_text(key))
    return found


def _text(node: ast.expr | None) -> str:
    """A text, of an f-string its beginning; empty for anything else."""
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0]
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


@lru_cache(maxsize=64)
def names_in(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"C{rule}")
def test_every_rule_has_a_case_or_a_test(rule: int) -> None:
    elsewhere = [name for names in IN_OTHER_ROOMS.get(rule, {}).values() for name in names]
    assert cases_by_rule_once()[rule] or elsewhere, f"C{rule} has neither a case in tests/policy nor a test elsewhere"


@lru_cache(maxsize=1)
def cases_by_rule_once() -> dict[int, list[str]]:
    return cases_by_rule()


@pytest.mark.parametrize("rule", IN_OTHER_ROOMS, ids=lambda rule: f"C{rule}")
def test_the_tests_of_other_rooms_exist(rule: int) -> None:
    for file, names in IN_OTHER_ROOMS[rule].items():
        assert (TESTS / file).exists(), file
        assert set(names) <= names_in(TESTS / file), f"{file} lacks {sorted(set(names) - names_in(TESTS / file))}"


def test_no_case_names_a_rule_that_there_is_none_of() -> None:
    assert set(cases_by_rule_once()) <= set(RULES)
