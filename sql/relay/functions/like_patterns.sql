-- Topic patterns as LIKE has them: * stands for any text, everything else for itself.
create function relay.like_patterns(topics text[]) returns text[]
language sql immutable strict parallel safe
return (
    select array_agg(replace(replace(replace(replace(t.topic, '\', '\\'), '%', '\%'), '_', '\_'), '*', '%') order by t.place)
    from unnest(topics) with ordinality as t(topic, place));

comment on function relay.like_patterns(text[]) is 'LIKE patterns of topics with * for any text.';
