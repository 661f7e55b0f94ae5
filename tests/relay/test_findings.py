"""What Postgres, brokers and the model of the relay showed, numbered as in the names of tests, and the tests that meet it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.findings import assert_is_there

_TESTS = Path(__file__).parent.parent
_FINDINGS: dict[int, tuple[str, ...]] = {
    1: (
        "a sealer with an old snapshot repeats a batch",
        "outbox/test_seal.py::finding_1_a_sealer_with_an_old_snapshot_is_refused",
        "outbox/test_seal.py::finding_1_a_stale_seal_collides_with_its_number",
    ),
    2: (
        "one statement can publish twice, and before its lock",
        "outbox/test_publish.py::update_returning_publishes_once_after_its_lock",
    ),
    3: (
        "the order of a key is that of the lock on it",
        "outbox/test_publish.py::two_messages_of_a_key_keep_the_order_of_the_lock_on_it",
    ),
    4: (
        "a seal may vanish after it was delivered",
        "outbox/test_seal.py::finding_4_a_seal_survives_a_crash_though_commits_do_not_wait",
        "relay/test_restore.py::finding_4_a_seal_that_no_standby_confirmed_is_not_delivered",
    ),
    5: (
        "a sequence that did not move hides a straggler",
        "outbox/test_seal.py::finding_5_a_straggler_is_sealed_though_the_sequence_did_not_move",
    ),
    6: (
        "what came between two snapshots is found by index only",
        "outbox/test_seal.py::finding_6_the_difference_of_two_snapshots_is_read_by_index_below_an_old_one",
    ),
    7: ("a large seal is read in parts", "relay/test_run.py::a_large_transaction_is_read_in_parts"),
    8: (
        "the top-level transaction is stored, not the savepoint's",
        "outbox/test_seal.py::finding_8_a_message_of_a_savepoint_waits_for_its_transaction",
        "outbox/test_seal.py::finding_8_a_prepared_transaction_is_sealed_when_it_is_committed",
    ),
    9: (
        "one seal for all lanes, and a key's slot for ever",
        "outbox/test_seal.py::a_second_sealer_leaves_the_work_to_the_first",
        "outbox/test_publish.py::the_slot_of_a_key_is_the_first_12_bits_of_its_sha256",
    ),
    10: (
        "topics on the command line lose or double messages",
        "contract/test_destinations.py::finding_10_two_relays_with_two_filters_do_not_share_a_place",
        "relay/test_run.py::finding_10_a_stream_of_another_database_is_refused",
        "relay/test_run.py::options_of_the_first_run_are_recorded_and_others_refused",
    ),
    11: (
        "members that are gone make a replay silently empty",
        "outbox/test_seal.py::finding_11_a_deleted_message_is_noticed_at_every_read",
    ),
    12: (
        "dropping a partition can lose a committed message",
        "outbox/test_retention.py::fault_19_a_partition_drop_races_a_slow_writer",
        "outbox/test_retention.py::the_next_partition_is_made_before_it_is_needed",
    ),
    13: (
        "lanes are a property of the destination",
        "relay/test_run.py::lanes_are_streams_of_their_own_and_a_key_keeps_its_lane",
    ),
    14: (
        "a destination may come later",
        "outbox/test_retention.py::a_destination_that_comes_later_begins_with_what_is_there",
        "relay/test_restore.py::a_replay_delivers_a_span_of_time_to_a_new_name",
    ),
    15: (
        "without a lock both the seal and the rollback win",
        "outbox/test_holds.py::finding_15_a_rollback_that_is_under_way_is_passed_by_and_then_wins",
        "outbox/test_holds.py::finding_15_messages_are_taken_back_under_read_committed_only",
    ),
    16: (
        "the sealer defers and never waits",
        "outbox/test_seal_stress.py::finding_16_sealing_and_rollback_are_linearised",
        "outbox/test_holds.py::finding_16_an_idle_rollback_holds_back_its_key_and_nothing_else",
    ),
    17: (
        "a held message holds its key, for a limited time",
        "outbox/test_holds.py::finding_17_a_held_message_holds_its_key",
        "outbox/test_holds.py::finding_17_every_hold_has_a_time_limit",
    ),
    18: (
        "what is sealed is compensated, and redo publishes anew",
        "outbox/test_holds.py::finding_18_a_sealed_message_is_compensated_under_its_topic_and_key",
        "outbox/test_holds.py::finding_18_redo_publishes_anew_what_the_rollback_cancelled",
    ),
    19: (
        "a tail is adopted by its message, not by its number",
        "contract/test_destinations.py::finding_19_a_destination_that_holds_what_the_source_lost_stops",
        "relay/test_redis.py::finding_34_a_last_id_that_was_moved_with_nothing_delivered_is_not_believed",
    ),
    20: (
        "one unacknowledged append a lane",
        "relay/test_model.py::every_rule_is_needed",
        "relay/test_destinations.py::fault_5_bytes_of_a_dead_relay_that_arrive_after_its_heir_has_begun",
    ),
    21: (
        "positions never shift, and a park may have been overtaken",
        "relay/test_parking.py::finding_21_a_late_append_of_a_parked_message_lifts_the_park",
        "relay/test_parking.py::finding_21_a_late_append_after_a_retry_keeps_the_retried_one_out",
    ),
    22: (
        "only what was refused alone is parked",
        "relay/test_destinations.py::a_message_that_is_too_large_is_refused_alone_and_divides_a_batch",
        "outbox/test_publish.py::a_message_larger_than_a_registered_destination_takes_is_refused_at_the_source",
    ),
    23: ("brokers that confirm what they drop may not park: none of class B is built",),
    24: (
        "a lease saves work and fences nobody",
        "relay/test_faults.py::fault_4_two_relays_on_one_lane_without_leases",
        "relay/test_faults.py::fault_4_a_relay_that_slept_past_its_lease",
    ),
    25: (
        "what a relay updates is bounded by time",
        "relay/test_faults.py::finding_25_what_a_relay_updates_is_bounded_by_time_not_by_load",
        "relay/test_run.py::the_position_is_stored_about_once_a_second_and_not_for_every_batch",
    ),
    26: (
        "a drain ends with what was committed before it",
        "relay/test_run.py::a_drain_delivers_everything_committed_before_the_call",
        "relay/test_run.py::a_second_drain_has_nothing_to_do_and_exits_0",
        "relay/test_run.py::a_drain_beside_a_running_relay_waits_for_it",
    ),
    27: (
        "JetStream refuses a batch whole",
        "relay/test_nats.py::finding_27_a_write_of_others_inside_an_open_batch_refuses_it_whole",
        "relay/test_nats.py::finding_27_a_batch_that_lost_a_message_on_the_way_is_refused_whole",
    ),
    28: (
        "a message id of JetStream swallows a redelivery",
        "relay/test_nats.py::finding_28_no_message_id_is_sent_whose_window_would_swallow_it",
    ),
    29: (
        "a lane is a stream of its own",
        "relay/test_run.py::lanes_are_streams_of_their_own_and_a_key_keeps_its_lane",
    ),
    30: ("leaders change and replicas die", "relay/test_chaos.py::random_faults_lose_and_repeat_nothing"),
    31: (
        "settings of a stream that break the promise",
        "relay/test_run.py::finding_31_a_stream_with_unsafe_settings_is_refused_with_the_reason",
        "relay/test_nats.py::a_guard_that_does_not_work_is_found_at_the_start",
    ),
    32: (
        "Redis refuses a script for memory before its first write",
        "relay/test_redis.py::finding_32_out_of_memory_is_refused_before_the_first_write_and_halves_the_batch",
    ),
    33: (
        "a script of Redis does not roll back",
        "relay/test_redis.py::finding_33_ids_are_checked_before_the_first_entry_is_added",
    ),
    34: (
        "what resets the tail of a Redis stream",
        "relay/test_redis.py::finding_34_the_first_batch_of_a_dead_relay_is_refused_after_the_stream_is_gone",
        "relay/test_redis.py::finding_34_unsafe_settings_are_refused_with_the_reason",
    ),
    35: (
        "ids of Redis grow with their generation",
        "relay/test_redis.py::finding_35_every_relay_gives_a_message_the_same_id",
        "relay/test_redis.py::finding_35_scripts_that_were_forgotten_are_sent_again",
    ),
    36: (
        "a restore into smaller transaction ids hides messages",
        "outbox/test_seal.py::finding_36_transaction_ids_that_went_back_stop_sealing",
        "relay/test_restore.py::finding_36_a_restore_into_smaller_transaction_ids_seals_again_after_a_rebase",
    ),
    37: (
        "copies and restores are told from the original",
        "outbox/test_seal.py::finding_37_a_copy_of_the_database_does_not_seal",
        "relay/test_restore.py::finding_37_a_restore_to_five_minutes_ago_while_the_broker_keeps_its_data",
    ),
}


def test_the_findings_are_numbered_without_a_hole() -> None:
    assert list(_FINDINGS) == list(range(1, 38))


@pytest.mark.parametrize("finding", _FINDINGS)
def test_each_finding_has_its_test(finding: int) -> None:
    _, *tests = _FINDINGS[finding]
    for test in tests:
        assert_is_there(_TESTS, test)
