-- Which of some statements were made by sessions of the same trees: the given ones, what they are within, and all that is within that.
create function journal.undo_of_one_tree(session_ids uuid[], statement_ids bigint[]) returns setof bigint
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    with recursive written as (
        select b.statement_id, b.session_id from journal.undo_bound(undo_of_one_tree.statement_ids) b
    ), up as (
        select s.session_id as member, s.session_id, s.parent_session_id
          from journal.session s
         where s.session_id = any (undo_of_one_tree.session_ids) or s.session_id in (select w.session_id from written w)
        union
        select u.member, p.session_id, p.parent_session_id from up u join journal.session p on p.session_id = u.parent_session_id
    ), root as (
        select u.member, u.session_id from up u where u.parent_session_id is null
    )
    select w.statement_id
      from written w
      join root r on r.member = w.session_id
     where r.session_id in (select o.session_id from root o where o.member = any (undo_of_one_tree.session_ids));
end;

comment on function journal.undo_of_one_tree(uuid[], bigint[]) is 'Which statements belong to the same trees of sessions. Private.';
