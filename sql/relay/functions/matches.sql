-- Topic patterns: * stands for any text, everything else for itself.
create function relay.matches(topic text, patterns text[]) returns boolean
language sql immutable parallel safe
as $matches$
    select patterns = '{*}' or exists (
        select from unnest(patterns) as p(pattern)
        where topic like replace(replace(replace(replace(p.pattern, '\', '\\'), '%', '\%'), '_', '\_'), '*', '%'))
$matches$;

comment on function relay.matches(text, text[]) is 'Whether a topic is one of the patterns; * stands for any text.';
