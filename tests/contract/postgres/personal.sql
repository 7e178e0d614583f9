-- A shop full of what is to be hidden: each value of it holds pl4in, or is one of the test's numbers.
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE DOMAIN mail AS varchar(80) CHECK (VALUE LIKE '%@%');
CREATE DOMAIN never_null AS text NOT NULL;
CREATE TABLE customers (
    id serial PRIMARY KEY, email mail NOT NULL UNIQUE, name varchar(60), phone text CHECK (phone LIKE '+%'),
    born date, seen timestamptz, number bigint UNIQUE, code char(40), key uuid, photo bytea, ip inet, mood mood,
    tags text[], profile jsonb, raw json, note text, nothing text, "Odd ""one""" text, short varchar(20),
    must never_null DEFAULT '', lower_name text GENERATED ALWAYS AS (lower(name)) STORED
);
CREATE UNIQUE INDEX ON customers (lower(email::text));
CREATE TABLE orders (
    id bigserial, customer_email mail REFERENCES customers (email), buyer text, number numeric, total numeric(10, 2)
);
CREATE TABLE visits (at date NOT NULL, who text, n int) PARTITION BY RANGE (at);
CREATE TABLE visits_old PARTITION OF visits FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY HASH (n);
CREATE TABLE visits_old_0 PARTITION OF visits_old FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE visits_old_1 PARTITION OF visits_old FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE visits_new (who text, n int, at date NOT NULL);
ALTER TABLE visits ATTACH PARTITION visits_new FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE people (who text); CREATE TABLE staff (salary int) INHERITS (people);
CREATE MATERIALIZED VIEW addresses AS SELECT email, phone FROM customers;
CREATE TABLE "a" (who text); CREATE TABLE "a b" (who text, other text);
INSERT INTO customers (email, name, phone, born, seen, number, code, key, photo, ip, mood, tags, profile, raw, note,
    "Odd ""one""", short)
SELECT 'pl4in' || i || '@secret.test', 'Pl4inname ' || i, '+32pl4in' || i, '1980-02-03'::date + i,
    '2026-01-01 10:11:12+00'::timestamptz + i * '1 h'::interval, 777000111222 + i, 'pl4incode' || i,
    md5('pl4in' || i)::uuid, convert_to('pl4inphoto' || i, 'UTF8'),
    ('10.77.' || i / 256 || '.' || i % 256)::inet, 'sad', ARRAY['pl4in,tag' || i, NULL, 'pl4in"tag'],
    jsonb_build_object('email', 'pl4in' || i || '@secret.test', 'keep', i, 'list', jsonb_build_array(
        jsonb_build_object('phone', '+32pl4in' || i), 'kept')),
    ('{"a": 1.50,  "street": "pl4instreet ' || i || '", "a": 2}')::json, E'pl4in\tnote\n\\' || i, 'pl4inodd' || i,
    'pl4inshort' || i
FROM generate_series(0, 299) i;
INSERT INTO orders (customer_email, buyer, number, total)
SELECT 'pl4in' || i % 300 || '@secret.test', 'Pl4inname ' || i % 300, 777000111222 + i % 300, i
FROM generate_series(1, 900) i;
INSERT INTO visits SELECT '2025-06-01'::date + i, 'Pl4inname ' || i % 300, i FROM generate_series(1, 400) i;
INSERT INTO people VALUES ('Pl4inname 1'); INSERT INTO staff VALUES ('Pl4inname 2', 7);
INSERT INTO "a" VALUES ('pl4in a'); INSERT INTO "a b" VALUES ('kept', 'pl4in a b');
