-- Rows are told apart by their key, so it is part of every image.
create function journal.why_not_excludable(relation regclass, excluded int2[]) returns text
language sql stable
begin atomic
    select case
        when s.key && excluded then 'its key cannot be excluded'
        when s.attnums <@ excluded then 'nothing of it would be recorded'
        end
      from journal.present_shape(relation) s;
end;

comment on function journal.why_not_excludable(regclass, int2[]) is 'The reason why columns cannot be excluded, or null.';
