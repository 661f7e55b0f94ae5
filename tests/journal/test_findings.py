"""What PostgreSQL does that a journal has to know, numbered as in the brackets of docstrings, and the tests that meet it.

A finding is met where one of its tests would fail if somebody forgot it. What only a benchmark can tell names the benchmark.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.findings import assert_is_there

_TESTS = Path(__file__).parent
_CAPTURE = {
    1: (
        "nested triggers record the inner statement first",
        "capture/test_statements.py::changes_of_triggers_fold_to_what_is_stored",
    ),
    2: (
        "a row may change twice in one statement, and share its transition tables",
        "capture/test_statements.py::rows_that_a_statement_changes_twice_are_paired_once",
        "rollback/test_principles.py::two_foreign_keys_set_null_by_one_delete",
    ),
    3: (
        "a changed key is an update, not a delete and an insert",
        "capture/test_statements.py::a_changed_key_is_one_change_with_both_sides",
        "rollback/test_keys.py::case_03_changed_key_takes_its_children_back",
    ),
    4: (
        "renamed and retyped columns give silent wrong images",
        "capture/test_shape.py::renamed_and_swapped_columns_keep_their_values",
    ),
    5: (
        "a look at the catalogs under an old snapshot is fooled",
        "capture/test_shape.py::an_old_snapshot_does_not_fool_the_check",
        "capture/test_schema_changes.py::no_image_is_wrong_while_others_write",
    ),
    6: (
        "a journal that fails on an unknown shape makes every migration an outage",
        "capture/test_shape.py::a_migration_is_no_outage_and_leaves_no_hole",
        "capture/test_shape.py::strict_coverage_refuses_who_writes_after_the_change_and_nobody_before",
    ),
    7: (
        "TRUNCATE shows its rows to nobody",
        "capture/test_truncate.py::an_old_snapshot_refuses",
        "capture/test_truncate.py::row_security_refuses",
        "capture/test_truncate.py::rows_that_the_journals_owner_may_not_read_refuse",
        "capture/test_kinds.py::truncate_of_a_partition_tree_records_each_row_once",
    ),
    8: (
        "rows that replication applies fire no statement trigger",
        "cli/test_setting_up.py::doctor_finds_covered_tables_that_are_subscribed",
    ),
    9: (
        "a statement fires the triggers of the relation that it names",
        "capture/test_kinds.py::every_level_of_a_partition_tree_is_captured",
        "capture/test_kinds.py::a_partition_attached_later_is_a_gap_until_cover",
    ),
    10: (
        "foreign partitions and inheritance",
        "test_coverage.py::foreign_partitions_are_refused_and_named_where_they_come_later",
        "test_coverage.py::inheritance_that_comes_later_is_a_gap",
    ),
    11: (
        "both images have to fit into one row",
        "test_coverage.py::tables_too_wide_are_refused_at_cover",
        "test_coverage.py::the_widest_tables_that_are_covered_can_be_written",
    ),
    12: (
        "bit and character without a length have length 1",
        "capture/test_values.py::images_show_what_postgres_prints_whatever_the_settings",
    ),
    13: ("a cast to text runs code of the type's owner", "capture/test_values.py::a_users_cast_to_text_is_never_run"),
    14: ("a composite of nulls `is null`", "capture/test_values.py::composites_of_nulls_are_not_null"),
    15: ("`=` is looked up on the path, and equals what differs", "capture/test_kinds.py::keys_of_types_of_users"),
    16: ("labels of enums are renamed", "rollback/test_types.py::case_38_enum_label_renamed_since"),
    17: ("exact comparison reads large values", "capture/test_elision.py::unchanged_large_values_are_on_neither_side"),
    18: (
        "only 17 and later show where a large value lies",
        "capture/test_elision.py::unchanged_large_values_are_on_neither_side",
    ),
    19: ("JIT costs more than capture", "capture/test_contract.py::no_capture_is_compiled"),
    20: (
        "plans on transition tables are made for the first row count",
        "capture/test_statements.py::one_row_ten_times_then_twenty_thousand",
    ),
    21: (
        "statements that touch no row fire triggers",
        "capture/test_statements.py::statements_that_touch_no_row_leave_nothing",
    ),
    22: (
        "transition tables are filled whoever reads them",
        "capture/test_kinds.py::agents_only_records_bound_transactions",
        "../../benchmarks/capture.py::_commits",
    ),
    23: ("BRIN reads the whole journal", "capture/test_attribution.py::a_sessions_changes_are_read_without_the_others"),
    24: (
        "foreign-key actions are one statement for each table",
        "capture/test_statements.py::a_cascade_is_one_statement_for_each_table",
    ),
    25: (
        "CTEs that write one table share a firing; virtual columns are NULL in it; `=` on arrays is not exact",
        "capture/test_statements.py::ctes_that_write_one_table_are_one_statement",
        "capture/test_kinds.py::generated_columns_are_left_to_the_server",
        "capture/test_values.py::a_change_of_representation_only_is_seen",
    ),
    26: (
        "jsonb refuses what json holds",
        "capture/test_values.py::images_show_what_postgres_prints_whatever_the_settings",
    ),
}
_ATTRIBUTION = {
    27: (
        "an old snapshot sees an old status",
        "steps/test_binding.py::a_snapshot_from_before_the_end_of_the_session_cannot_bind_it",
    ),
    28: (
        "advisory locks are anybody's, and a prepared transaction keeps its locks",
        "steps/test_binding.py::closing_waits_for_a_running_step",
        "rollback/test_waiting.py::case_26_prepared_transaction",
    ),
    29: ("a plan has to see what was committed while it waited", "rollback/test_calls.py::isolation"),
    30: (
        "a look at what others write fails SERIALIZABLE transactions; settings can be forged",
        "capture/test_statements.py::serializable_transactions_on_different_rows_do_not_fail_each_other",
        "capture/test_kinds.py::nobody_can_pretend_to_be_bound_or_unbound",
        "steps/test_binding.py::a_forged_token_is_no_binding",
    ),
    31: (
        "what came before the binding, and several bindings",
        "capture/test_attribution.py::what_came_before_the_binding_is_not_the_sessions",
        "steps/test_binding.py::a_joined_step_leaves_the_rest_of_the_transaction_unbound",
    ),
    32: ("membership is no mark of an agent", "capture/test_attribution.py::agent_roles_write_only_inside_a_session"),
    33: (
        "temporary tables shadow others",
        "capture/test_names.py::a_temporary_table_of_the_same_name_takes_nothing",
        "capture/test_contract.py::every_function_says_what_it_is_and_none_of_the_definers_can_be_fooled",
    ),
    34: (
        "transaction ids repeat after a restore",
        "capture/test_attribution.py::the_same_transaction_id_of_another_cluster_is_another_transaction",
    ),
    35: ("dump and restore", "capture/test_restore.py::a_restored_database_goes_on_where_it_was"),
    36: (
        "publications of everything include new segments",
        "cli/test_setting_up.py::doctor_finds_publications_of_the_journal",
    ),
    37: (
        "only the owner may create triggers; capture needs no right on the table",
        "test_coverage.py::only_the_owner_covers",
        "capture/test_values.py::row_security_hides_nothing_from_capture",
    ),
    38: (
        "triggers are disabled and enabled again; event triggers need a superuser",
        "test_coverage.py::a_gap_is_seen_and_mended",
        "capture/test_shape.py::an_event_trigger_makes_the_next_segment_at_once",
    ),
    39: (
        "owners can end capture, cascades can leave it, and history shows what a table no longer does",
        "cli/test_setting_up.py::doctor_names_who_has_the_owners_rights",
        "rollback/test_references.py::case_09_cascade_into_an_uncovered_table",
        "capture/test_visibility.py::row_security_and_dropped_tables_are_the_auditors",
    ),
}
_ROLLBACK = {
    40: (
        "a guard in the statement that deletes is too late",
        "rollback/test_references.py::case_07_others_are_about_to_hang_a_row_below_ours",
    ),
    41: ("triggers keep rows a second time", "rollback/test_security.py::case_52_summary_kept_by_a_trigger"),
    42: (
        "writing CTEs run in no order to rely on",
        "rollback/test_principles.py::unique_value_freed_and_taken_in_one_session",
    ),
    43: (
        "RETURNING does not see what triggers do later; SET CONSTRAINTS stays in force",
        "rollback/test_deferred.py::case_12_deferred_trigger_that_has_other_ideas",
        "rollback/test_deferred.py::case_12_what_the_caller_deferred_stays_deferred",
    ),
    44: ("what only reads cannot know what is deferred", "rollback/test_outside.py::case_60_dry_run_then_apply"),
    45: (
        "a row's xmin tells whether somebody came after",
        "rollback/test_others.py::case_17_changed_and_back_unseen",
        "rollback/test_principles.py::upkeep_is_nobodys_later_work",
    ),
    46: (
        "the writer can be the victim of a deadlock",
        "rollback/test_waiting.py::case_24_live_writer_is_never_the_victim",
    ),
    47: (
        "an UPDATE names columns: rights, triggers and identity follow",
        "rollback/test_security.py::case_55_right_on_the_changed_column_is_enough",
        "rollback/test_types.py::case_40_identity",
    ),
    48: ("every phase of a rollback costs", "../../benchmarks/rollback.py::run"),
}
_FINDINGS: dict[int, tuple[str, ...]] = {**_CAPTURE, **_ATTRIBUTION, **_ROLLBACK}


def test_the_findings_are_numbered_without_a_hole() -> None:
    assert list(_FINDINGS) == list(range(1, 49))


@pytest.mark.parametrize("finding", _FINDINGS)
def test_each_finding_has_its_test(finding: int) -> None:
    _, *tests = _FINDINGS[finding]
    for test in tests:
        assert_is_there(_TESTS, test)
