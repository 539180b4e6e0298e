-- The suppression list and the log of feedback in format 1, as 0.1.0 and what came after it kept them:
-- what `.dump` wrote of a `state.db` that such a version had made, without its other tables.
PRAGMA application_id = 1836217204;
PRAGMA user_version = 1;
PRAGMA journal_mode = WAL;
BEGIN;
CREATE TABLE suppression (
        id       INTEGER PRIMARY KEY AUTOINCREMENT,
        key      TEXT NOT NULL UNIQUE,
        email    TEXT NOT NULL,
        reason   TEXT NOT NULL,
        source   TEXT NOT NULL,
        added    INTEGER NOT NULL,
        lifetime INTEGER,
        expires  INTEGER,
        change   INTEGER NOT NULL
    );
INSERT INTO suppression VALUES(1,'manual@x.example','manual@x.example','manual','command line',1795979482298450,7776000000000,1803755482298450,1);
INSERT INTO suppression VALUES(2,'ann@x.example','ann@x.example','bad_mailbox','feedback on news/63w6fv8ctdz7',1795979482772306,7776000000000,1803755482344085,4);
INSERT INTO suppression VALUES(3,'gone@x.example','gone@x.example','complaint','command line',1795979482380854,NULL,NULL,3);
INSERT INTO suppression VALUES(5,'bob@x.example','bob@x.example','complaint','feedback on news/63w6fv8ctdz7',1795979482772306,NULL,NULL,5);
INSERT INTO suppression VALUES(6,'cleo@x.example','cleo@x.example','unsubscribe','feedback on news/63w6fv8ctdz7',1795979482772306,NULL,NULL,6);
CREATE TABLE suppression_meta (
        one     INTEGER PRIMARY KEY CHECK (one = 1),
        version INTEGER NOT NULL,
        change  INTEGER NOT NULL
    );
INSERT INTO suppression_meta VALUES(1,1,6);
CREATE TABLE feedback_meta (
        one     INTEGER PRIMARY KEY CHECK (one = 1),
        version INTEGER NOT NULL
    );
INSERT INTO feedback_meta VALUES(1,1);
CREATE TABLE feedback_import (
        id     INTEGER PRIMARY KEY AUTOINCREMENT,
        at     INTEGER NOT NULL,
        source TEXT NOT NULL
    );
INSERT INTO feedback_import VALUES(1,1795979482772306,'bounce.eml complaint.eml leave.eml');
CREATE TABLE feedback (
        id         INTEGER PRIMARY KEY AUTOINCREMENT,
        import     INTEGER NOT NULL,
        read_at    INTEGER NOT NULL,
        mail       TEXT NOT NULL,
        event      INTEGER NOT NULL,
        message_id TEXT,
        at         INTEGER NOT NULL,
        kind       TEXT NOT NULL,
        class      TEXT,
        status     TEXT,
        hard       INTEGER NOT NULL,
        named      TEXT,
        text       TEXT,
        key        TEXT,
        address    TEXT,
        campaign   TEXT,
        run        TEXT,
        row        INTEGER,
        found_by   TEXT,
        trusted    INTEGER NOT NULL,
        action     TEXT NOT NULL,
        effect     TEXT NOT NULL,
        undone_at  INTEGER,
        undone_by  INTEGER,
        before     TEXT,
        UNIQUE (mail, event)
    );
INSERT INTO feedback VALUES(1,1,1795979482772306,'7b2aec3401bebf86e7bb205facc9f0bd',0,'bounce.1@mx.example',1795979482772306,'bounce','bad_mailbox','5.1.1',1,'ann@x.example','Remote host said: 550 5.1.1 User unknown','ann@x.example','ann@x.example','news','63w6fv8ctdz7',0,'message_id',1,'hard','suppressed',NULL,NULL,'{"key":"ann@x.example","email":"Ann@x.example","reason":"manual","source":"command line","added":1795979482344085,"lifetime":7776000000000,"expires":1803755482344085}');
INSERT INTO feedback VALUES(2,1,1795979482772306,'5c3810b53289bddd90e11d5951e5f326',0,'complaint.1@isp.example',1795979482772306,'complaint',NULL,NULL,0,NULL,NULL,'bob@x.example','bob@x.example','news','63w6fv8ctdz7',1,'message_id',1,'complaint','suppressed',NULL,NULL,'');
INSERT INTO feedback VALUES(3,1,1795979482772306,'66a2862498a8af32c4cc68ae488ef71a',0,'leave.1@x.example',1795979482772306,'unsubscribe',NULL,NULL,0,NULL,NULL,'cleo@x.example','cleo@x.example','news','63w6fv8ctdz7',2,'link',1,'unsubscribe','suppressed',NULL,NULL,'');
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('suppression',6);
INSERT INTO sqlite_sequence VALUES('feedback_import',1);
INSERT INTO sqlite_sequence VALUES('feedback',3);
CREATE INDEX suppression_change ON suppression (change);
CREATE INDEX feedback_key ON feedback (key);
CREATE INDEX feedback_message_id ON feedback (message_id);
CREATE INDEX feedback_run ON feedback (run);
CREATE INDEX feedback_import_of ON feedback (import);
COMMIT;
