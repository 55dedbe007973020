"""The tables of a journal."""

#: Kept in SQLite's user_version; a journal of a newer number is refused, of an older one upgraded.
VERSION = 2

#: What brings a journal from version N to N + 1.
UPGRADES: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE identity (journal TEXT NOT NULL)",
        "CREATE TABLE domains (name TEXT PRIMARY KEY, epoch INTEGER NOT NULL,"
        " record TEXT NOT NULL)",
        "CREATE TABLE migrations (id TEXT PRIMARY KEY, domain TEXT NOT NULL, done INTEGER NOT NULL,"
        " record TEXT NOT NULL)",
        "CREATE INDEX migrations_open ON migrations (done, domain)",
        # The commit point: one row, unique by migration; nothing ever updates it.
        "CREATE TABLE decisions (migration TEXT PRIMARY KEY, decision TEXT NOT NULL,"
        " at REAL NOT NULL)",
        "CREATE TABLE facts (migration TEXT NOT NULL, fact TEXT NOT NULL, record TEXT NOT NULL,"
        " PRIMARY KEY (migration, fact))",
        "CREATE TABLE steps (migration TEXT NOT NULL, device TEXT NOT NULL, record TEXT NOT NULL,"
        " PRIMARY KEY (migration, device))",
        "CREATE TABLE saves (nonce TEXT PRIMARY KEY, domain TEXT NOT NULL, record TEXT NOT NULL)",
        "CREATE TABLE expiries (id INTEGER PRIMARY KEY, domain TEXT NOT NULL,"
        " record TEXT NOT NULL)",
        "CREATE TABLE history (id INTEGER PRIMARY KEY, domain TEXT NOT NULL, record TEXT NOT NULL)",
        "CREATE TABLE filler (bytes BLOB NOT NULL)",
        "CREATE INDEX expiries_domain ON expiries (domain)",
        "CREATE INDEX history_domain ON history (domain)",
    ),
    (
        "CREATE TABLE jobs (migration TEXT NOT NULL, hook TEXT NOT NULL, device TEXT NOT NULL,"
        " record TEXT NOT NULL, PRIMARY KEY (migration, hook, device))",
        # Version 1 wrote into a device's step that it was recovered, and so forgot how that ended.
        "INSERT INTO jobs SELECT migration, 'recover', device, json_object('version', 1,"
        " 'migration', migration, 'device', device, 'hook', 'recover', 'state', 'done')"
        " FROM steps WHERE json_extract(record, '$.state') = 'recovered'",
        "UPDATE steps SET record = json_set(record, '$.state', 'unknown')"
        " WHERE json_extract(record, '$.state') = 'recovered'",
    ),
)
