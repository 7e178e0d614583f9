-- How much there is of every table, materialized view and sequence and of all large objects, and one MD5 over it.
-- Nothing of killick's is in here. A table's MD5 is over the sorted MD5 sums of its rows, written as text.
\pset footer off
SELECT string_agg(query, ' UNION ALL ') AS queries FROM (
    SELECT format(
        'SELECT %L AS of, count(*), md5(string_agg(md5(x::text), '''' ORDER BY md5(x::text) COLLATE "C")) FROM %s x',
        oid::regclass, oid::regclass)
    FROM pg_class
    WHERE relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema')
        AND NOT relispartition AND relkind IN ('r', 'p', 'm')
    UNION ALL
    SELECT format('SELECT %L, last_value, md5(is_called::text) FROM %s', oid::regclass, oid::regclass)
    FROM pg_class WHERE relkind = 'S'
    UNION ALL
    SELECT 'SELECT ''large objects'', count(*), md5(string_agg(md5(lo_get(oid)), '''' ORDER BY oid)) '
        || 'FROM pg_largeobject_metadata'
) AS each (query) \gset
:queries ORDER BY 1;
