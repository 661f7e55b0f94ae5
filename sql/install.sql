-- The whole schema, in reading order: load order and table of contents in one.
-- `psql -f sql/install.sql` installs it for the current role, as `journal migrate --no-roles` does, but without a version: use
-- migrate for databases that you keep. The group roles belong to the cluster, not to a database: see roles.sql.
\ir schemas.sql

-- the journal: sessions, coverage, changes, rollbacks, receipts

-- journal: the ledger
\ir journal/tables/session.sql
\ir journal/tables/secret.sql
\ir journal/tables/stop.sql
\ir journal/tables/statement.sql
\ir journal/tables/binding.sql
\ir journal/tables/agent_role.sql

-- journal: coverage and capture
\ir journal/tables/segment.sql
\ir journal/tables/covered_table.sql
\ir journal/functions/cluster_id.sql
\ir journal/functions/caller.sql
\ir journal/functions/qualified_name.sql
\ir journal/functions/type_of.sql
\ir journal/functions/columns_are.sql
\ir journal/functions/raise_stale.sql
\ir journal/functions/types_are.sql
\ir journal/functions/admit.sql
\ir journal/functions/base_type.sql
\ir journal/functions/image_type.sql
\ir journal/functions/image_of.sql
\ir journal/functions/pinned_settings.sql
\ir journal/functions/capture_preamble.sql
\ir journal/functions/capture_checks.sql
\ir journal/functions/capture_truncate.sql
\ir journal/functions/capture_body.sql
\ir journal/functions/why_too_wide.sql
\ir journal/functions/why_not_coverable.sql
\ir journal/functions/present_shape.sql
\ir journal/functions/column_numbers.sql
\ir journal/functions/trigger_marks.sql
\ir journal/functions/coverage_state.sql
\ir journal/functions/add_segment.sql
\ir journal/functions/make_segment.sql
\ir journal/functions/set_triggers.sql
\ir journal/functions/seal_coverage.sql
\ir journal/functions/cover.sql
\ir journal/functions/forget_coverage.sql
\ir journal/functions/uncover.sql

-- journal: what was recorded
\ir journal/functions/operation_name.sql
\ir journal/functions/is_auditor.sql
\ir journal/functions/visible_columns.sql
\ir journal/functions/image_texts.sql
\ir journal/functions/image_query.sql
\ir journal/functions/column_names.sql
\ir journal/functions/images.sql
\ir journal/views/statements.sql
\ir journal/views/changes.sql
\ir journal/functions/session_changes.sql
\ir journal/functions/key_condition.sql
\ir journal/functions/row_images.sql
\ir journal/functions/row_history.sql
\ir journal/functions/attribute_names.sql
\ir journal/views/coverage.sql
\ir journal/functions/retention.sql
\ir journal/functions/is_droppable.sql
\ir journal/views/segments.sql

-- journal: sessions, steps and receipts
\ir journal/tables/reversal.sql
\ir journal/tables/step.sql
\ir journal/tables/receipt.sql
\ir journal/functions/binding_digest.sql
\ir journal/functions/bound_session.sql
\ir journal/functions/set_binding.sql
\ir journal/functions/raise_unknown_session.sql
\ir journal/functions/refuse_stopped.sql
\ir journal/functions/is_related.sql
\ir journal/functions/enter_session.sql
\ir journal/functions/bind.sql
\ir journal/functions/open_session.sql
\ir journal/functions/close_session.sql
\ir journal/functions/stop_session.sql
\ir journal/functions/stop_agent.sql
\ir journal/functions/resume_agent.sql
\ir journal/functions/abandoned_after.sql
\ir journal/functions/effective_rollback.sql
\ir journal/functions/is_reversed.sql
\ir journal/functions/session_reversed.sql
\ir journal/functions/reverse_steps.sql
\ir journal/functions/check_step.sql
\ir journal/functions/key_retention.sql
\ir journal/functions/arguments_digest.sql
\ir journal/functions/arguments_differ.sql
\ir journal/functions/differing_arguments.sql
\ir journal/functions/new_step.sql
\ir journal/functions/insert_step.sql
\ir journal/functions/raise_in_progress.sql
\ir journal/functions/next_attempt.sql
\ir journal/functions/check_attempt.sql
\ir journal/functions/reserve_key.sql
\ir journal/functions/outcome_of_key.sql
\ir journal/functions/begin_step.sql
\ir journal/functions/utc.sql
\ir journal/functions/step_changes.sql
\ir journal/functions/step_messages.sql
\ir journal/functions/step_in_progress.sql
\ir journal/functions/write_receipt.sql
\ir journal/functions/end_step.sql
\ir journal/functions/complete_step.sql
\ir journal/functions/fail_step.sql
\ir journal/views/sessions.sql
\ir journal/views/steps.sql
\ir journal/views/receipts.sql
\ir journal/functions/receipt_json.sql

-- the outbox: messages and seals
\ir outbox/functions/uuid7.sql
\ir outbox/tables/message_id.sql
\ir outbox/tables/message.sql
\ir outbox/tables/message_1.sql
\ir outbox/tables/message_default.sql
\ir outbox/tables/cancellation.sql
\ir outbox/tables/lineage.sql
\ir outbox/tables/seal.sql
\ir outbox/tables/sealer.sql
\ir outbox/functions/slot_of.sql
\ir outbox/functions/hash_of.sql
\ir outbox/functions/check_topic.sql
\ir outbox/functions/check_key.sql
\ir outbox/functions/check_headers.sql
\ir outbox/functions/check_size.sql
\ir outbox/functions/hold_limit.sql
\ir outbox/functions/release_at.sql
\ir outbox/functions/check_hold.sql
\ir outbox/functions/attribution.sql
\ir outbox/functions/add_message.sql
\ir outbox/functions/publish.sql
\ir outbox/functions/visible_between.sql
\ir outbox/functions/members.sql
\ir outbox/functions/verify_seals.sql
\ir outbox/functions/sealed_by.sql
\ir outbox/functions/seal_of.sql
\ir outbox/functions/check_may_seal.sql
\ir outbox/functions/pending_may_move.sql
\ir outbox/functions/anything_to_seal.sql
\ir outbox/functions/lock_sealer.sql
\ir outbox/functions/source_identity.sql
\ir outbox/functions/lineage_in_force.sql
\ir outbox/functions/check_not_rewound.sql
\ir outbox/functions/first_seal.sql
\ir outbox/functions/lock_free_sessions.sql
\ir outbox/functions/draft_seal.sql
\ir outbox/functions/worth_storing.sql
\ir outbox/functions/seal.sql
\ir outbox/functions/judge_messages.sql
\ir outbox/functions/answer_message.sql
\ir outbox/functions/take_back_plan.sql
\ir outbox/functions/take_back.sql
\ir outbox/views/messages.sql
\ir outbox/views/backlog.sql

-- the relay: destinations and their positions
\ir relay/tables/destination.sql
\ir relay/tables/route.sql
\ir relay/tables/lane.sql
\ir relay/tables/mark.sql
\ir relay/tables/park.sql
\ir relay/functions/matches.sql
\ir relay/functions/size_limit.sql
\ir relay/functions/destinations_of.sql
\ir relay/functions/lanes_of.sql
\ir relay/functions/first_seal_for.sql
\ir relay/functions/check_registered.sql
\ir relay/functions/register.sql
\ir relay/functions/pause.sql
\ir relay/functions/resume.sql
\ir relay/functions/report_error.sql
\ir relay/functions/report_recovery.sql
\ir relay/functions/lane_state.sql
\ir relay/functions/take_lane.sql
\ir relay/functions/checkpoint.sql
\ir relay/functions/leave_lane.sql
\ir relay/functions/next_seals.sql
\ir relay/functions/read_seals.sql
\ir relay/functions/read_part.sql
\ir relay/functions/lane_backlog.sql
\ir relay/functions/position_of.sql
\ir relay/views/destinations.sql
\ir relay/views/lag.sql
\ir relay/views/deliveries.sql
\ir relay/views/parked.sql

-- who may do what
\ir grants.sql
