-- The tables of the image recognition example (SQLite). Each statement may be run again.

-- What was found in the picture that a key holds now.
create table if not exists pictures (
    key          text primary key,
    sequencer    text not null,     -- which upload of the key this row tells of
    status       text not null,     -- 'ok' or 'error'
    digit        integer,
    confidence   real,
    error        text,
    bytes        integer not null,
    milliseconds real not null,     -- to fetch and classify
    request_id   text not null,     -- the event that wrote the row
    recognised   text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);

-- Every upload ever counted: an event that comes a second time is known from here.
create table if not exists uploads (
    key       text not null,
    sequencer text not null,
    primary key (key, sequencer)
) without rowid;

create table if not exists counters (
    name  text primary key,
    value integer not null
);

insert into counters (name, value) values ('pictures', 0) on conflict (name) do nothing;
