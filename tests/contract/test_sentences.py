"""What is promised of steps and of their proof, sentence by sentence, and the tests that would fail if it were not so.

Signatures, columns, errors and SQL functions are compared as a whole: test_views.py, test_errors.py, test_sql_functions.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.findings import assert_is_there

_TESTS = Path(__file__).parents[1]
_KINDS = "contract/test_connections.py::"
_STEPS = "journal/steps/test_"

TRANSACTIONS = {
    "a call that writes commits a transaction of its own when none is open, with autocommit on and off": (
        f"{_KINDS}rows_message_result_and_receipt_commit_together",
        f"{_KINDS}publish_outside_a_transaction_commits_its_own",
        f"{_KINDS}a_tools_receipt_and_what_is_said_of_it",
    ),
    "a transaction that the caller opened is never committed or rolled back": (
        f"{_KINDS}a_step_in_an_open_transaction_is_refused",
        f"{_KINDS}what_is_said_in_the_callers_transaction_is_part_of_it",
        f"{_STEPS}sessions.py::in_the_callers_transaction_nothing_is_committed",
        f"{_STEPS}rollbacks.py::in_the_callers_transaction_nothing_is_committed",
        f"{_STEPS}covering.py::in_the_callers_transaction",
        "outbox/test_inbox.py::an_open_transaction_is_the_callers",
    ),
    "a step in an open transaction raises TransactionOpen": (
        f"{_KINDS}a_step_in_an_open_transaction_is_refused",
        f"{_STEPS}external.py::it_has_transactions_of_its_own",
    ),
    "with join it is a savepoint, joined, and its receipt is pending until the caller has committed": (
        f"{_KINDS}a_joined_step_is_pending_until_the_caller_commits",
        f"{_KINDS}a_joined_step_that_fails_leaves_the_callers_transaction_usable",
    ),
    "reading leaves no transaction open": (
        f"{_STEPS}receipts.py::it_is_found_by_its_id",
        f"{_STEPS}rollbacks.py::planning_stops_nothing_and_changes_nothing",
    ),
    "reserved key, rows, images, messages, result and receipt commit together": (
        f"{_KINDS}rows_message_result_and_receipt_commit_together",
    ),
    "a crash at any point leaves all of it or nothing": (
        f"{_STEPS}crashes.py::a_client_that_dies",
        f"{_STEPS}crashes.py::a_backend_that_dies_before_the_commit_leaves_nothing",
        f"{_STEPS}external.py::a_crash_between_any_two_lines",
        f"{_STEPS}interleavings.py::random_interleavings",
    ),
}
CONNECTIONS = {
    "each kind of connection, sync and async, on psycopg and SQLAlchemy": (
        f"{_KINDS}rows_message_result_and_receipt_commit_together",
    ),
    "with a pool or engine each step checks one out, which is step.conn": (
        f"{_STEPS}async.py::tasks_work_side_by_side_on_a_pool",
        f"{_STEPS}async.py::inside_a_step_the_pool_means_its_connection",
        f"{_STEPS}async.py::nothing_is_left_checked_out",
    ),
    "row factory, adapters and settings of the caller do not matter": (
        f"{_STEPS}steps.py::the_callers_settings_of_the_connection_do_not_matter",
        f"{_STEPS}steps.py::timezone_and_other_settings_do_not_change_a_receipt",
    ),
    "a step on a connection that is busy with another task's raises ConcurrentStep": (
        f"{_STEPS}async.py::another_task_cannot_step_on_a_busy_connection",
        f"{_STEPS}async.py::another_thread_cannot_step_on_a_busy_connection",
    ),
    "no SET, LISTEN or advisory lock of the session": (
        f"{_STEPS}steps.py::nothing_is_set_for_the_session_of_the_connection",
    ),
    "what is no connection of a known kind is refused": (
        f"{_STEPS}sessions.py::what_is_no_connection",
        f"{_STEPS}sqlalchemy.py::another_database_is_no_connection_of_ours",
    ),
}
STEPS = {
    "statements of a step are bound to it, those around it are not": (
        f"{_STEPS}steps.py::statements_between_steps_are_unbound",
        f"{_STEPS}binding.py::a_joined_step_leaves_the_rest_of_the_transaction_unbound",
    ),
    "leaving a nested step binds the outer one again": (
        f"{_KINDS}a_nested_step_is_part_of_the_outer_one",
        f"{_STEPS}binding.py::an_inner_step_that_fails_binds_the_outer_one_again",
        f"{_STEPS}binding.py::an_inner_replay_binds_the_outer_one_again",
    ),
    "binding another session in the same transaction raises AlreadyBound, a child excepted": (
        f"{_STEPS}binding.py::another_session_in_the_same_transaction_is_refused",
        f"{_STEPS}binding.py::a_child_session_works_in_the_same_transaction",
    ),
    "the body of a replay runs read-only": (
        f"{_KINDS}a_replayed_body_that_writes_is_refused",
        f"{_KINDS}a_replayed_body_that_publishes_is_refused",
        f"{_KINDS}a_replayed_body_may_read",
    ),
    "session.run does not run the body of a replay": (f"{_KINDS}run_does_not_run_a_replay",),
    "a second caller waits, for so long, and never runs": (
        f"{_STEPS}races.py::the_second_caller_waits_and_gets_the_first_ones_result",
        f"{_STEPS}races.py::who_has_waited_enough_is_told_that_the_step_is_in_progress",
        f"{_STEPS}races.py::the_wait_bounds_the_lock_on_the_session_too",
        f"{_STEPS}races.py::many_callers_one_effect",
    ),
    "leaving the block completes the step": (f"{_STEPS}steps.py::leaving_the_block_completes_the_step",),
    "an exception rolls back and frees the key": (f"{_KINDS}an_exception_rolls_back_and_frees_the_key",),
    "StepFailed rolls back and is recorded under the key": (f"{_KINDS}a_failure_is_recorded_under_the_key",),
    "a lost reply to COMMIT raises OutcomeUnknown, and the same key is safe": (
        f"{_STEPS}crashes.py::a_lost_reply_to_commit_is_an_unknown_outcome",
        f"{_STEPS}crashes.py::a_lost_commit_is_an_unknown_outcome_too",
        f"{_STEPS}crashes.py::asynchronous_drivers_do_not_know_either",
        f"{_STEPS}crashes.py::every_commit_of_ours_may_be_lost",
    ),
    "tries that failed and replays leave a row of their own": (
        f"{_KINDS}an_exception_rolls_back_and_frees_the_key",
        f"{_KINDS}a_retry_gets_the_first_result_and_receipt",
    ),
    "results are strict JSON; step.result is the decoded stored value, also the first time": (
        f"{_STEPS}steps.py::the_result_is_the_decoded_stored_value",
        f"{_STEPS}steps.py::a_number_is_what_postgres_makes_of_it_the_first_time_too",
        f"{_STEPS}steps.py::a_result_that_is_no_strict_json_is_refused",
        f"{_STEPS}external.py::its_result_is_the_stored_one_also_the_first_time",
    ),
    "str(error) holds no values": (
        f"{_STEPS}keys.py::what_is_said_of_arguments_shows_no_values",
        f"{_STEPS}steps.py::a_failed_try_leaves_a_row_that_holds_no_values",
        f"{_STEPS}replay.py::a_recorded_failure_is_told_and_not_raised_so_that_the_server_s_log_does_not_hold_it",
    ),
    "a publish that is not awaited fails the step": (f"{_STEPS}async.py::publish_that_is_not_awaited_fails_the_step",),
    "each error says what to do": (
        "journal/test_hints.py::in_sql",
        "journal/test_hints.py::in_python",
        "journal/test_hints.py::in_the_relay",
    ),
}
KEYS = {
    "a key is unique per tenant and tool, whichever session calls": (
        f"{_STEPS}keys.py::a_key_is_shared_by_all_sessions",
        f"{_STEPS}keys.py::a_key_belongs_to_its_tool",
        f"{_STEPS}keys.py::a_key_belongs_to_its_tenant",
    ),
    "a key has 1 to 512 bytes": (
        f"{_STEPS}keys.py::a_key_has_1_to_512_bytes",
        f"{_STEPS}keys.py::any_text_of_that_length_is_a_key",
    ),
    "arguments are compared as jsonb, or by their digest; others raise ArgumentsDiffer": (
        f"{_STEPS}keys.py::arguments_are_compared_as_jsonb",
        f"{_STEPS}keys.py::other_arguments_are_refused",
        f"{_STEPS}keys.py::arguments_that_are_not_stored_are_still_compared",
    ),
    "details are not compared": (f"{_STEPS}keys.py::details_are_not_compared",),
    "a reversed key raises StepReversed with the next attempt": (
        f"{_KINDS}the_session_is_rolled_back",
        f"{_STEPS}keys.py::a_reversed_key_names_the_next_attempt",
        f"{_STEPS}keys.py::a_rollback_that_was_rolled_back_gives_the_key_its_result_back",
    ),
    "a later attempt is made only when the one before was taken back or failed": (
        f"{_STEPS}keys.py::a_later_attempt_is_refused_while_the_one_before_is_in_effect",
    ),
    "a key is kept 30 days, and free then": (
        f"{_STEPS}keys.py::an_expired_key_is_free",
        f"{_STEPS}keys.py::an_expired_attempt_is_not_run_again_while_a_later_one_is_kept",
        f"{_STEPS}external.py::an_expired_key_is_another_effect_with_another_intent_and_provider_key",
        f"{_STEPS}external.py::an_unknown_outcome_never_expires",
    ),
    "what is asked wrongly runs nothing": (
        f"{_STEPS}keys.py::what_is_no_step_is_refused_in_our_words_before_anything_is_sent",
        f"{_STEPS}steps.py::arguments_and_details_are_strict_json_before_anything_runs",
        f"{_STEPS}steps.py::another_kind_is_unknown",
    ),
}
SESSIONS = {
    "a session is a value and a context manager, and fails by an exception": (
        f"{_KINDS}leaving_the_session_closes_it",
        f"{_KINDS}leaving_the_session_by_an_exception_closes_it_as_failed",
    ),
    "run_id is unique per tenant and agent, and returns the open session": (
        f"{_STEPS}sessions.py::a_run_id_names_the_open_session",
        f"{_STEPS}sessions.py::two_who_open_one_run_at_once_get_one_session",
    ),
    "leaving a resumed session does not close it": (f"{_STEPS}sessions.py::resuming_does_not_close",),
    "a session that is not there, closed or stopped cannot be resumed": (
        f"{_STEPS}sessions.py::what_cannot_be_resumed",
    ),
    "role is set in each step": (f"{_STEPS}roles.py::a_step_runs_as_the_role_of_its_session",),
    "current_session is that of the task, and a LookupError outside": (
        f"{_STEPS}sessions.py::the_current_session",
        f"{_STEPS}async.py::tasks_that_share_a_session_leave_it_by_themselves",
    ),
    "a child belongs to its parent and its tenant": (f"{_STEPS}sessions.py::a_child_belongs_to_its_parent_and_tenant",),
    "a session is its own user's": (f"{_STEPS}roles.py::a_session_belongs_to_the_user_that_opened_it",),
    "names fit, and are text": (
        f"{_STEPS}sessions.py::names_have_a_length",
        f"{_STEPS}sessions.py::who_and_why_are_text",
        f"{_STEPS}sessions.py::what_is_no_session_is_refused_in_our_words",
    ),
    "undoable says whether all of it could be taken back": (
        f"{_STEPS}claims.py::undoable_says_whether_a_rollback_would_take_back_all",
    ),
    "a session that nobody binds for seven days is abandoned": (
        f"{_STEPS}sessions.py::a_session_that_nobody_binds_for_a_week_is_abandoned",
    ),
}
TOOLS = {
    "a call is a step of the current session, sync and async, on each kind of connection": (
        f"{_KINDS}a_tools_receipt_and_what_is_said_of_it",
        f"{_STEPS}tools.py::a_call_is_a_step_that_takes_effect_once",
        f"{_STEPS}tools.py::outside_a_session_it_says_so",
    ),
    "plain functions and plain connections go together": (
        f"{_STEPS}tools.py::a_coroutine_function_needs_an_asynchronous_session",
        f"{_STEPS}tools.py::session_run_takes_no_coroutine_function_on_a_plain_connection",
        f"{_STEPS}external.py::a_coroutine_function_is_no_probe_of_a_plain_session",
    ),
    "the step is no part of the signature": (
        f"{_STEPS}tools.py::the_step_is_no_part_of_the_signature",
        f"{_STEPS}frameworks.py::the_type_of_the_step_is_nobodys_business",
    ),
    "OpenAI Agents, LangChain, LangGraph, MCP and FastAPI make their schemas of it": (
        f"{_STEPS}frameworks.py::a_plain_function",
        f"{_STEPS}frameworks.py::a_coroutine_function",
        f"{_STEPS}frameworks.py::a_server_of_mcp_has_its_session_in_its_lifespan",
        f"{_STEPS}frameworks.py::an_endpoint_of_fastapi",
    ),
    "returns: the result, or an envelope of result, receipt and replayed": (
        f"{_STEPS}tools.py::an_envelope_carries_the_receipt",
    ),
    "kinds are a closed list, and a tool of kind read may not write": (
        f"{_STEPS}steps.py::kinds",
        f"{_STEPS}tools.py::a_tool_that_reads_may_not_write",
        f"{_STEPS}external.py::reading_is_no_external_effect",
    ),
    "join makes it part of the open transaction": (f"{_STEPS}tools.py::a_joined_tool_is_part_of_the_open_transaction",),
    "session.run keeps what the function returns or completes": (
        f"{_STEPS}tools.py::session_run_stores_what_was_completed_or_returned",
        f"{_STEPS}replay.py::run_passes_what_the_function_raises",
    ),
    "what is no tool, and what cannot be a key or result, is refused": (
        f"{_STEPS}tools.py::what_is_decorated_wrongly_is_refused_at_once",
        f"{_STEPS}tools.py::what_cannot_be_a_key_or_a_result_runs_nothing_or_takes_no_effect",
    ),
}
EXTERNAL_EFFECTS = {
    "on each kind of connection": (f"{_KINDS}an_external_effect_that_nobody_heard_of_again_is_probed",),
    "the intent is committed before anything is sent": (
        f"{_STEPS}external.py::the_intent_is_committed_before_anything_is_sent",
    ),
    "the provider key is derived, the same for every try and for no other effect": (
        f"{_STEPS}external.py::the_provider_key_is_stable_and_says_nothing",
        f"{_STEPS}external.py::an_expired_key_is_another_effect_with_another_intent_and_provider_key",
        f"{_STEPS}external.py::a_replay_has_no_provider_key_to_send",
    ),
    "outcome completed: made once, and replayed": (
        f"{_STEPS}external.py::the_effect_is_made_once_and_its_result_replayed",
    ),
    "outcome failed: recorded for good": (f"{_STEPS}external.py::a_refusal_of_the_provider_is_recorded_for_good",),
    "outcome unknown: the probe is asked": (
        f"{_STEPS}external.py::a_lost_reply_is_an_unknown_outcome_until_the_probe_tells",
        f"{_STEPS}external.py::a_probe_that_cannot_tell_leaves_it_unknown",
        f"{_STEPS}external.py::a_probe_reads_in_the_transaction_and_leaves_nothing_there",
        f"{_STEPS}external.py::a_lost_commit_is_found_out_by_the_next_call",
    ),
    "or a person: external --unknown, external resolve": (
        f"{_STEPS}external.py::a_person_says_what_happened",
        f"{_STEPS}external.py::a_person_says_completed_or_failed",
        f"{_STEPS}claims.py::external_effects_at_the_shell",
    ),
    "never re-run blindly, whoever dies when": (
        f"{_STEPS}external.py::without_a_probe_it_is_never_run_again_blindly",
        f"{_STEPS}external.py::a_second_caller_waits_and_gets_the_result",
        f"{_STEPS}external.py::callers_at_once_make_it_once_and_all_know",
        f"{_STEPS}external.py::an_intent_is_given_a_moment_to_be_taken",
        f"{_STEPS}external.py::a_crash_between_any_two_lines",
        f"{_STEPS}roles.py::an_open_external_effect_is_taken_by_its_own_user_only",
    ),
    "its own transaction is not failed after it was made": (
        f"{_STEPS}isolation.py::an_external_effect_is_not_failed_after_it_was_made",
    ),
    "a rollback cannot take it back, and lists it": (
        f"{_STEPS}external.py::a_rollback_lists_what_it_cannot_take_back",
    ),
    "what is asked wrongly sends nothing": (f"{_STEPS}external.py::what_is_asked_wrongly_sends_nothing",),
}
RECEIPTS = {
    "frozen, and str() is the id": (f"{_STEPS}receipts.py::a_receipt_is_frozen_hashable_and_prints_its_id",),
    "a row exists if and only if the step committed": (
        f"{_KINDS}rows_message_result_and_receipt_commit_together",
        f"{_STEPS}receipts.py::a_failed_step_has_none",
        f"{_STEPS}interleavings.py::random_interleavings",
    ),
    "changes are row counts from the ledger, and no image is read": (
        f"{_STEPS}receipts.py::it_counts_rows_per_table_and_operation",
        f"{_STEPS}receipts.py::it_is_counted_in_the_ledger_and_no_image_is_read",
    ),
    "message ids, in order": (f"{_STEPS}receipts.py::messages_are_in_the_order_published",),
    "the digest is the sha256 of the document, which says all": (
        f"{_STEPS}receipts.py::its_digest_is_the_sha256_of_its_document",
        f"{_STEPS}receipts.py::its_document_says_all",
    ),
    "committed, delivered when each destination has stored its messages, confirmed by a consumer": (
        f"{_STEPS}claims.py::a_receipt_is_delivered_and_confirmed",
        f"{_STEPS}claims.py::who_confirms_must_name_the_receipt_and_himself",
        f"{_STEPS}roles.py::a_receipt_is_confirmed_by_whoever_was_given_the_right",
    ),
    "reversed by a rollback, and committed again by its redo": (f"{_STEPS}receipts.py::a_rollback_reverses_it",),
    "shown to whose step it was": (f"{_STEPS}roles.py::a_receipt_is_shown_to_whose_step_it_was",),
    "psql can run a step": (f"{_STEPS}receipts.py::psql_can_run_a_step",),
}
CLAIMS = {
    "backed by a receipt, a step, or an id of one": (
        f"{_STEPS}claims.py::a_receipt_backs_a_claim",
        f"{_STEPS}claims.py::an_external_effect_backs_a_claim_once_it_is_known",
    ),
    "unbacked without one; by ids, not by words": (
        f"{_STEPS}claims.py::a_claim_without_a_receipt_is_unbacked",
        f"{_STEPS}claims.py::a_receipt_of_another_tenant_backs_nothing",
    ),
    "contradicted when it was reversed, or failed": (
        f"{_STEPS}claims.py::a_failed_step_contradicts_a_claim",
        f"{_STEPS}claims.py::a_reply_is_checked_before_it_is_sent",
    ),
    "check_reply judges all claims of a reply, on each kind of connection": (
        f"{_KINDS}a_tools_receipt_and_what_is_said_of_it",
        f"{_STEPS}claims.py::a_reply_is_not_backed_by_claims_that_are_not_on_record",
        f"{_STEPS}claims.py::claims_of_a_child_session_are_judged_in_the_reply",
    ),
    "journal claims --unbacked --check is a gate": (f"{_STEPS}claims.py::claims_at_the_shell_are_a_gate",),
    "what is claimed wrongly is refused": (
        f"{_STEPS}claims.py::what_is_claimed_wrongly_is_refused_in_our_words_and_records_nothing",
        f"{_STEPS}claims.py::claims_are_made_by_the_sessions_own_user",
    ),
}
STORIES = {
    "three stories": (
        "test_examples.py::the_refund_that_was_never_submitted",
        "test_examples.py::the_email_sent_twice",
        "test_examples.py::step_7_of_14_that_crashed",
    ),
    "the README's example, with autocommit on and off": (f"{_STEPS}readme_example.py::the_example",),
    "importing loads neither click, alembic, sqlalchemy nor a broker's client": (
        f"{_STEPS}package.py::using_psycopg_loads_nothing_else",
    ),
    "journal.testing": (
        "journal/test_testing.py::what_is_so_is_asserted",
        "journal/test_testing.py::what_is_not_so_fails",
    ),
    "journal.sqlalchemy.bind binds at the first write": (f"{_STEPS}lazy_binding.py::the_first_write_binds",),
    "outbox.inbox": ("outbox/test_inbox.py::the_second_delivery_is_not_fresh",),
}
PARTS = (TRANSACTIONS, CONNECTIONS, STEPS, KEYS, SESSIONS, TOOLS, EXTERNAL_EFFECTS, RECEIPTS, CLAIMS, STORIES)
SENTENCES = {sentence: tests for part in PARTS for sentence, tests in part.items()}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_each_sentence_has_its_tests(sentence: str) -> None:
    for test in SENTENCES[sentence]:
        assert_is_there(_TESTS, test)
