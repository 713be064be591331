-- Run once by Postgres' image, when its volume is empty: a database and its owner for each of the three that need one.
\set ON_ERROR_STOP on
\getenv dagster DAGSTER_POSTGRES_PASSWORD
\getenv ledger LEDGER_POSTGRES_PASSWORD
\getenv catalogue DUCKLAKE_POSTGRES_PASSWORD

CREATE ROLE dagster LOGIN PASSWORD :'dagster';
CREATE ROLE ledger LOGIN PASSWORD :'ledger';
CREATE ROLE ducklake LOGIN PASSWORD :'catalogue';

CREATE DATABASE dagster OWNER dagster;
CREATE DATABASE ledger OWNER ledger;
CREATE DATABASE ducklake OWNER ducklake;

REVOKE CONNECT ON DATABASE dagster, ledger, ducklake FROM PUBLIC;
