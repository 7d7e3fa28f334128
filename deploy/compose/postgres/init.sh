#!/bin/bash
# Runs once, on an empty volume: for each service a database, an owner (migrations) and a role that changes rows but no
# structure (everything else).
set -euo pipefail
for service in enterprise renewal review certnumber; do
    psql -qv ON_ERROR_STOP=1 -U postgres -d postgres \
        -v service="$service" -v owner="${service}_owner" \
        -v password="$(< "/run/secrets/${service}_db_password")" \
        -v owner_password="$(< "/run/secrets/${service}_owner_db_password")" <<'SQL'
CREATE ROLE :"owner" LOGIN PASSWORD :'owner_password';
CREATE ROLE :"service" LOGIN PASSWORD :'password';
CREATE DATABASE :"service" OWNER :"owner";
REVOKE ALL ON DATABASE :"service" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"service" TO :"service";
\connect :"service"
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO :"service";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" GRANT USAGE ON SEQUENCES TO :"service";
SQL
done
