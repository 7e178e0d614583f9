-- Everything that a dump could lose, in one database. Roles are made by the test: owner, reader, "O'Brien ""the"" Ops".
CREATE EXTENSION hstore SCHEMA public;
CREATE SCHEMA "Weird Schema";
CREATE SCHEMA other;
CREATE EXTENSION citext SCHEMA other;
COMMENT ON SCHEMA other IS 'another''s; with -- a comment
and a line';

CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s "fine"');
CREATE DOMAIN positive AS numeric CHECK (VALUE > 0);
CREATE TYPE pair AS (a int, b text);
CREATE TYPE span AS RANGE (subtype = float8);
CREATE COLLATION other.plain (provider = libc, locale = 'C');

-- every awkward value of every common type
CREATE TABLE everything (
    id bigserial PRIMARY KEY, small smallint, f4 real, f8 double precision, n numeric, money_ money,
    t text, c char(5), v varchar(9), b bytea, d date, ts timestamp, tz timestamptz, tm time, tmz timetz, iv interval,
    j json, jb jsonb, x xml, u uuid, ip inet, net cidr, mac macaddr, bits bit varying, ints int[], texts text[],
    m mood, p positive, pr pair, sp span, r int4range, mr int4multirange, pt point, pg polygon, q tsquery, tv tsvector,
    h hstore, ci other.citext, ok boolean, "column" text, "t""quoted" int
);
INSERT INTO everything (f4, f8, n, money_, t, c, v, b, d, ts, tz, tm, tmz, iv, j, jb, x, u, ip, net, mac, bits, ints,
    texts, m, p, pr, sp, r, mr, pt, pg, q, tv, h, ci, ok, "column", "t""quoted") VALUES
    ('NaN', '-0', 'NaN', 12.34, E'tab\t nl\n cr\r bs\\ \\. \\N null', 'a', '', '\x00ff5c2e0a', 'infinity',
     '-infinity', '2026-11-01 01:30:00-04', '24:00', '12:00+14', '1 mon -1 day 00:00:00.000001', '{"a": 1, "a": 2}', '{"b": null}',
     '<a>&amp;</a>', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '::1/64', '10.0.0.0/8', '08:00:2b:01:02:03', B'101',
     '{1,NULL,3}', '{"","NULL",NULL,"a,b","\\"}', 'it''s "fine"', 0.00000000000000000001, '(1,"a,b")', '[1.5,infinity)', '(,5]',
     '{[1,3),[7,9)}', '(NaN,-0)', '((0,0),(1,1),(1,0))', 'a & !b', 'a:1A b:2', '"a"=>NULL, "b"=>""', 'CiText', true, 'reserved', 7),
    ('infinity', '-infinity', '123456789012345678901234567890.123456789', -0.01, '\.', NULL, NULL, '', '4714-11-24 BC', '294276-12-31 23:59:59.999999',
     'infinity', '00:00', '00:00-15:59', '-178000000 years', 'null', '"\u00e9"', NULL, NULL, '255.255.255.255', '::/0', NULL, '', '{}', '{}',
     'sad', 1, NULL, 'empty', 'empty', '{}', NULL, NULL, NULL, NULL, '', '', NULL, 'ünï🎈', NULL),
    ('-infinity', '5e-324', '-0.000', NULL, '', '     ', E'\t', '\x5c', '0001-01-01', 'epoch', 'epoch', NULL, NULL, '0',
     '[]', '[]', '', NULL, NULL, NULL, NULL, NULL, '[0:1]={1,2}', '{{a,b},{c,d}}', 'ok', NULL, '(,)', '(,)', '(,)', NULL, NULL, NULL, '', '', NULL, NULL, false, NULL, NULL);

-- a column that is called as the table's alias would be, and a user's own cast and operator in the way
CREATE TABLE x (x text, t text, r int);
INSERT INTO x VALUES ('same', 'one', 1), ('same', 'two', 2), ('same', 'two', 2);
CREATE FUNCTION hidden(x) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'always the same' $$;
CREATE CAST (x AS text) WITH FUNCTION hidden(x) AS IMPLICIT;
CREATE FUNCTION other.never(name, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT false $$;
CREATE OPERATOR public.= (LEFTARG = name, RIGHTARG = text, FUNCTION = other.never);

CREATE TABLE "Weird Schema"."Tab le ""q"" 'a' %s 🎈" ("a b" int PRIMARY KEY, "%" text DEFAULT '%s', "new
line" text);
INSERT INTO "Weird Schema"."Tab le ""q"" 'a' %s 🎈" SELECT i, i, NULL FROM generate_series(1, 100) i;
CREATE TABLE "new
line" (i int); INSERT INTO "new
line" VALUES (1);
CREATE TABLE "TABLE DATA public x" (i int); INSERT INTO "TABLE DATA public x" VALUES (1), (2);
CREATE TABLE "postgres://a=b" (i int);
CREATE TABLE nothing (); INSERT INTO nothing DEFAULT VALUES; INSERT INTO nothing DEFAULT VALUES;
CREATE TABLE blanks (t text); INSERT INTO blanks VALUES (''), (''), (NULL), (' ');
CREATE UNLOGGED TABLE cache (k int, v text); INSERT INTO cache VALUES (1, 'kept');
CREATE TABLE wide (a int, gone int, b text); INSERT INTO wide VALUES (1, 2, 'b'); ALTER TABLE wide DROP COLUMN gone;
ALTER TABLE wide ADD c text DEFAULT 'late' NOT NULL, ALTER b SET STORAGE EXTERNAL, ALTER a SET STATISTICS 500;

CREATE TABLE priced (net numeric, rate numeric, gross numeric GENERATED ALWAYS AS (net * (1 + rate)) STORED, note text);
INSERT INTO priced (net, rate) SELECT i, 0.1 FROM generate_series(1, 50) i;
CREATE TABLE only_made (gross int GENERATED ALWAYS AS (1) STORED); INSERT INTO only_made DEFAULT VALUES;

-- inheritance: the copy's columns come in another order
CREATE TABLE parent (id int, name text); CREATE TABLE uncle (extra date);
CREATE TABLE child (own text, name text, id int); INSERT INTO child VALUES ('o', 'n', 1), ('p', 'm', 2);
ALTER TABLE child INHERIT parent; INSERT INTO parent VALUES (9, 'p');
CREATE TABLE grandchild (more int) INHERITS (child, uncle); INSERT INTO grandchild VALUES ('o', 'n', 3, '2026-01-01', 4);

CREATE TABLE events (at date NOT NULL, id int GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 10), body text) PARTITION BY RANGE (at);
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE events_2026 (body text, id int NOT NULL, at date NOT NULL);
ALTER TABLE events ATTACH PARTITION events_2026 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE events_rest PARTITION OF events DEFAULT PARTITION BY HASH (id);
CREATE TABLE events_rest_0 PARTITION OF events_rest FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE events_rest_1 PARTITION OF events_rest FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO events (at, body) SELECT '2024-06-01'::date + i * 7, 'event ' || i FROM generate_series(1, 150) i;
CREATE INDEX ON events (at);

CREATE TABLE customers (id serial PRIMARY KEY, name other.citext NOT NULL UNIQUE, mood mood DEFAULT 'ok');
CREATE TABLE orders (
    id serial PRIMARY KEY, customer int REFERENCES customers ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    total positive, during tsrange, EXCLUDE USING gist (during WITH &&)
);
INSERT INTO customers (name) SELECT 'customer ' || i FROM generate_series(1, 200) i;
INSERT INTO orders (customer, total) SELECT 1 + i % 200, i FROM generate_series(1, 2000) i;
CREATE INDEX orders_of ON orders (customer, total DESC NULLS LAST) INCLUDE (id) WHERE total > 10;
CREATE INDEX customers_lower ON customers (lower(name::text) COLLATE other.plain text_pattern_ops);
CREATE STATISTICS order_stats (dependencies) ON customer, total FROM orders;
ALTER TABLE orders CLUSTER ON orders_pkey;
ALTER TABLE orders SET (fillfactor = 70, autovacuum_enabled = false);
ALTER TABLE orders ADD CONSTRAINT later CHECK (total < 1000000) NOT VALID;

CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    -- a heading as pg_dump writes it, and a line as it sets it

--
-- Name: fake; Type: TABLE; Schema: public; Owner: nobody
--

SET default_tablespace = '';
    RETURN NEW;
END $body$;
CREATE TRIGGER touched BEFORE UPDATE ON orders FOR EACH ROW WHEN (NEW.total > 0) EXECUTE FUNCTION touch();
CREATE TRIGGER sleeping AFTER INSERT ON orders FOR EACH STATEMENT EXECUTE FUNCTION touch();
ALTER TABLE orders DISABLE TRIGGER sleeping;
ALTER TABLE orders ENABLE ALWAYS TRIGGER touched;
CREATE FUNCTION add(a int, b int DEFAULT 1) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT a + b';
CREATE FUNCTION add(a text) RETURNS text LANGUAGE sql AS 'SELECT a';
CREATE PROCEDURE nop() LANGUAGE plpgsql AS 'BEGIN END';
CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
CREATE VIEW cheap WITH (security_barrier) AS SELECT * FROM orders WHERE total < 10 WITH LOCAL CHECK OPTION;
CREATE RULE quiet AS ON DELETE TO cheap DO INSTEAD NOTHING;
CREATE MATERIALIZED VIEW totals AS SELECT customer, sum(total) AS total FROM orders GROUP BY 1;
CREATE UNIQUE INDEX ON totals (customer);
CREATE MATERIALIZED VIEW unfilled AS SELECT 1 AS one WITH NO DATA;
CREATE FUNCTION watch_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER on_ddl ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION watch_ddl();
ALTER EVENT TRIGGER on_ddl DISABLE;
CREATE TEXT SEARCH CONFIGURATION mine (COPY = simple);
CREATE OPERATOR FAMILY mine USING btree;

CREATE SEQUENCE loose AS smallint START 5 INCREMENT 5 MAXVALUE 500 CYCLE; SELECT nextval('loose');
CREATE SEQUENCE untouched; CREATE SEQUENCE downward INCREMENT -1; SELECT nextval('downward');
CREATE TABLE behind (id serial); INSERT INTO behind VALUES (100);

ALTER TABLE customers ENABLE ROW LEVEL SECURITY; ALTER TABLE customers FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON customers FOR SELECT TO reader USING (name = current_user::other.citext);
CREATE POLICY all_rows ON customers TO "O'Brien ""the"" Ops" USING (true) WITH CHECK (false);

CREATE FOREIGN DATA WRAPPER dummy; CREATE SERVER far FOREIGN DATA WRAPPER dummy OPTIONS (host 'far');
CREATE FOREIGN TABLE away (i int OPTIONS (c 'd')) SERVER far; CREATE USER MAPPING FOR reader SERVER far;
CREATE PUBLICATION everything_there FOR ALL TABLES; CREATE PUBLICATION some_rows FOR TABLE orders (id, total) WHERE (id > 5);
CREATE SUBSCRIPTION afar CONNECTION 'host=nowhere' PUBLICATION p WITH (connect = false, slot_name = NONE);

SELECT lo_from_bytea(4711, decode(repeat('00ff', 100000), 'hex')); SELECT lo_from_bytea(4712, '');
SELECT lo_create(4713); SELECT lo_put(4713, 5000000, 'after a hole');
COMMENT ON LARGE OBJECT 4711 IS 'a photograph'; GRANT SELECT ON LARGE OBJECT 4711 TO reader;

ALTER TABLE customers OWNER TO owner; ALTER FUNCTION touch() OWNER TO "O'Brien ""the"" Ops"; ALTER SCHEMA other OWNER TO owner;
GRANT SELECT ON orders TO reader WITH GRANT OPTION; GRANT UPDATE (total) ON orders TO "O'Brien ""the"" Ops";
REVOKE EXECUTE ON FUNCTION add(int, int) FROM PUBLIC; GRANT USAGE ON SCHEMA "Weird Schema" TO PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE owner IN SCHEMA other GRANT SELECT ON TABLES TO reader;
COMMENT ON TABLE orders IS 'orders ''n'' more'; COMMENT ON COLUMN orders.total IS 'in €';
COMMENT ON CONSTRAINT later ON orders IS 'later'; COMMENT ON DATABASE current_database_name IS 'not a copy';
ALTER DATABASE current_database_name SET search_path = "$user", public, "Weird Schema";
ALTER DATABASE current_database_name SET timezone = 'Asia/Kathmandu';
ALTER DATABASE current_database_name SET bytea_output = 'escape';
ALTER DATABASE current_database_name SET intervalstyle = 'sql_standard';
ALTER DATABASE current_database_name SET "app.tenant" = 'o''clock';
ALTER DATABASE current_database_name SET default_transaction_read_only = on;
ALTER ROLE reader IN DATABASE current_database_name SET work_mem = '7MB';
