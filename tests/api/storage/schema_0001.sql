BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE alert (
	seq INTEGER NOT NULL, 
	alert_id VARCHAR(400) NOT NULL, 
	run VARCHAR(64) NOT NULL, 
	camera VARCHAR(64) NOT NULL, 
	rule VARCHAR(64) NOT NULL, 
	kind VARCHAR(64) NOT NULL, 
	severity VARCHAR(16) NOT NULL, 
	zone VARCHAR(64), 
	line VARCHAR(64), 
	label VARCHAR(64) NOT NULL, 
	measured JSON NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	version INTEGER NOT NULL, 
	start_s DOUBLE NOT NULL, 
	end_s DOUBLE NOT NULL, 
	first_raised_s DOUBLE NOT NULL, 
	started_at DATETIME, 
	ended_at DATETIME, 
	first_raised_at DATETIME, 
	received_at DATETIME NOT NULL, 
	sort_at DATETIME NOT NULL, 
	acknowledged_at DATETIME, 
	closed_at DATETIME, 
	reason VARCHAR(32), 
	note TEXT, 
	snapshot TEXT, 
	media VARCHAR(16) NOT NULL, 
	media_note TEXT, 
	CONSTRAINT pk_alert PRIMARY KEY (seq), 
	CONSTRAINT uq_alert_alert_id UNIQUE (alert_id)
);
INSERT INTO "alert" VALUES(1,'alert.north-gate.lawn-loitering.000001','','north-gate','lawn-loitering','loitering','high','lawn',NULL,'person','{"dwell_s": {"value": 34.23, "threshold": 30.0}}','new',2,6.0,30.0,10.0,'2026-03-01 14:00:06.000000','2026-03-01 14:00:30.000000','2026-03-01 14:00:10.000000','2026-11-22 04:32:29.294952','2026-03-01 14:00:10.000000',NULL,NULL,NULL,NULL,'s/1.jpg','ready',NULL);
INSERT INTO "alert" VALUES(2,'alert.north-gate.road.000001','','north-gate','road','line_crossing','medium',NULL,'kerb','person','{"settle_s": {"value": 0.5, "threshold": 0.5}}','false_alarm',3,96.0,100.0,100.0,'2026-03-01 14:01:36.000000','2026-03-01 14:01:40.000000','2026-03-01 14:01:40.000000','2026-11-22 04:32:29.302912','2026-03-01 14:01:40.000000','2026-11-22 04:32:29.304206','2026-11-22 04:32:29.306614','other','Ａ cat on the kerb',NULL,'pending',NULL);
INSERT INTO "alert" VALUES(3,'alert.north-gate.lawn-loitering.000003','','north-gate','lawn-loitering','loitering','high','lawn',NULL,'person','{"dwell_s": {"value": 34.23, "threshold": 30.0}}','new',1,496.0,500.0,500.0,NULL,NULL,NULL,'2026-11-22 04:32:29.308650','2026-11-22 04:32:29.308650',NULL,NULL,NULL,NULL,NULL,'missing','No clip could be cut.');
INSERT INTO "alert" VALUES(4,'alert.东门.lawn-loitering.000001','','东门','lawn-loitering','loitering','high','lawn',NULL,'car','{"dwell_s": {"value": 34.23, "threshold": 30.0}}','resolved',2,896.0,900.0,900.0,'2026-03-01 14:14:56.000000','2026-03-01 14:15:00.000000','2026-03-01 14:15:00.000000','2026-11-22 04:32:29.310676','2026-03-01 14:15:00.000000','2026-11-22 04:32:29.311828','2026-11-22 04:32:29.311828',NULL,NULL,NULL,'pending',NULL);
INSERT INTO "alert" VALUES(5,'alert.东门.second.000009','','东门','second','loitering','critical','lawn',NULL,'person','{"dwell_s": {"value": 34.23, "threshold": 30.0}}','new',1,896.0,900.0,900.0,'2026-03-01 14:14:56.000000','2026-03-01 14:15:00.000000','2026-03-01 14:15:00.000000','2026-11-22 04:32:29.313454','2026-03-01 14:15:00.000000',NULL,NULL,NULL,NULL,NULL,'pending',NULL);
CREATE TABLE alert_change (
	seq INTEGER NOT NULL, 
	alert_seq INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	action VARCHAR(32) NOT NULL, 
	at DATETIME NOT NULL, 
	actor VARCHAR(128), 
	reason VARCHAR(32), 
	note TEXT, 
	CONSTRAINT pk_alert_change PRIMARY KEY (seq), 
	CONSTRAINT fk_alert_change_alert_seq_alert FOREIGN KEY(alert_seq) REFERENCES alert (seq)
);
INSERT INTO "alert_change" VALUES(1,2,2,'acknowledge','2026-11-22 04:32:29.304206',NULL,NULL,'保安前往 a look');
INSERT INTO "alert_change" VALUES(2,2,3,'false_alarm','2026-11-22 04:32:29.306614',NULL,'other','Ａ cat on the kerb');
INSERT INTO "alert_change" VALUES(3,4,2,'resolve','2026-11-22 04:32:29.311828',NULL,NULL,NULL);
CREATE TABLE clip (
	seq INTEGER NOT NULL, 
	alert_seq INTEGER NOT NULL, 
	part INTEGER NOT NULL, 
	path TEXT NOT NULL, 
	original TEXT, 
	from_s DOUBLE NOT NULL, 
	to_s DOUBLE, 
	shortfall_s DOUBLE NOT NULL, 
	CONSTRAINT pk_clip PRIMARY KEY (seq), 
	CONSTRAINT uq_clip_alert_seq_part UNIQUE (alert_seq, part), 
	CONSTRAINT fk_clip_alert_seq_alert FOREIGN KEY(alert_seq) REFERENCES alert (seq)
);
INSERT INTO "clip" VALUES(1,1,1,'c/1.mp4','c/1.mkv',5.0,35.0,0.5);
INSERT INTO "clip" VALUES(2,1,2,'c/2.mp4',NULL,35.0,NULL,0.0);
CREATE TABLE event (
	seq INTEGER NOT NULL, 
	run VARCHAR(64) NOT NULL, 
	event_id VARCHAR(300) NOT NULL, 
	alert_seq INTEGER NOT NULL, 
	raised_s DOUBLE NOT NULL, 
	raised_at DATETIME, 
	body JSON NOT NULL, 
	CONSTRAINT pk_event PRIMARY KEY (seq), 
	CONSTRAINT uq_event_run_event_id UNIQUE (run, event_id), 
	CONSTRAINT fk_event_alert_seq_alert FOREIGN KEY(alert_seq) REFERENCES alert (seq)
);
INSERT INTO "event" VALUES(1,'','north-gate.lawn-loitering.000001',1,10.0,'2026-03-01 14:00:10.000000','{"id": "north-gate.lawn-loitering.000001", "camera": "north-gate", "rule": "lawn-loitering", "kind": "loitering", "severity": "high", "zone": "lawn", "label": "person", "track_ids": [1], "media_time_s": {"start": 6.0, "raised": 10.0}, "started_at": "2026-03-01T14:00:06.000Z", "raised_at": "2026-03-01T14:00:10.000Z", "recording": null, "recording_time_s": null, "measured": {"dwell_s": {"value": 34.23, "threshold": 30.0}}, "path": [[6.0, 0.2, 0.7], [7.0, 0.25, 0.72], [8.0, 0.3, 0.74], [9.0, 0.35, 0.76], [10.0, 0.4, 0.78]], "versions": {"gatewatch": "0", "rule": "1"}}');
INSERT INTO "event" VALUES(2,'','north-gate.lawn-loitering.000002',1,30.0,'2026-03-01 14:00:30.000000','{"id": "north-gate.lawn-loitering.000002", "camera": "north-gate", "rule": "lawn-loitering", "kind": "loitering", "severity": "high", "zone": "lawn", "label": "person", "track_ids": [2], "media_time_s": {"start": 26.0, "raised": 30.0}, "started_at": "2026-03-01T14:00:26.000Z", "raised_at": "2026-03-01T14:00:30.000Z", "recording": null, "recording_time_s": null, "measured": {"dwell_s": {"value": 34.23, "threshold": 30.0}}, "path": [[26.0, 0.2, 0.7], [27.0, 0.25, 0.72], [28.0, 0.3, 0.74], [29.0, 0.35, 0.76], [30.0, 0.4, 0.78]], "versions": {"gatewatch": "0", "rule": "1"}}');
INSERT INTO "event" VALUES(3,'','north-gate.road.000001',2,100.0,'2026-03-01 14:01:40.000000','{"id": "north-gate.road.000001", "camera": "north-gate", "rule": "road", "kind": "line_crossing", "severity": "medium", "line": "kerb", "direction": "left_to_right", "label": "person", "track_ids": [1], "media_time_s": {"start": 96.0, "raised": 100.0}, "started_at": "2026-03-01T14:01:36.000Z", "raised_at": "2026-03-01T14:01:40.000Z", "recording": null, "recording_time_s": null, "measured": {"settle_s": {"value": 0.5, "threshold": 0.5}}, "path": [[96.0, 0.2, 0.7], [97.0, 0.25, 0.72], [98.0, 0.3, 0.74], [99.0, 0.35, 0.76], [100.0, 0.4, 0.78]], "versions": {"gatewatch": "0", "rule": "1"}}');
INSERT INTO "event" VALUES(4,'','north-gate.lawn-loitering.000003',3,500.0,NULL,'{"id": "north-gate.lawn-loitering.000003", "camera": "north-gate", "rule": "lawn-loitering", "kind": "loitering", "severity": "high", "zone": "lawn", "label": "person", "track_ids": [3], "media_time_s": {"start": 496.0, "raised": 500.0}, "started_at": null, "raised_at": null, "recording": null, "recording_time_s": null, "measured": {"dwell_s": {"value": 34.23, "threshold": 30.0}}, "path": [[496.0, 0.2, 0.7], [497.0, 0.25, 0.72], [498.0, 0.3, 0.74], [499.0, 0.35, 0.76], [500.0, 0.4, 0.78]], "versions": {"gatewatch": "0", "rule": "1"}}');
INSERT INTO "event" VALUES(5,'','东门.lawn-loitering.000001',4,900.0,'2026-03-01 14:15:00.000000','{"id": "\u4e1c\u95e8.lawn-loitering.000001", "camera": "\u4e1c\u95e8", "rule": "lawn-loitering", "kind": "loitering", "severity": "high", "zone": "lawn", "label": "car", "track_ids": [1], "media_time_s": {"start": 896.0, "raised": 900.0}, "started_at": "2026-03-01T14:14:56.000Z", "raised_at": "2026-03-01T14:15:00.000Z", "recording": null, "recording_time_s": null, "measured": {"dwell_s": {"value": 34.23, "threshold": 30.0}}, "path": [[896.0, 0.2, 0.7], [897.0, 0.25, 0.72], [898.0, 0.3, 0.74], [899.0, 0.35, 0.76], [900.0, 0.4, 0.78]], "versions": {"gatewatch": "0", "rule": "1"}}');
INSERT INTO "event" VALUES(6,'','东门.second.000009',5,900.0,'2026-03-01 14:15:00.000000','{"id": "\u4e1c\u95e8.second.000009", "camera": "\u4e1c\u95e8", "rule": "second", "kind": "loitering", "severity": "critical", "zone": "lawn", "label": "person", "track_ids": [9], "media_time_s": {"start": 896.0, "raised": 900.0}, "started_at": "2026-03-01T14:14:56.000Z", "raised_at": "2026-03-01T14:15:00.000Z", "recording": null, "recording_time_s": null, "measured": {"dwell_s": {"value": 34.23, "threshold": 30.0}}, "path": [[896.0, 0.2, 0.7], [897.0, 0.25, 0.72], [898.0, 0.3, 0.74], [899.0, 0.35, 0.76], [900.0, 0.4, 0.78]], "versions": {"gatewatch": "0", "rule": "1"}}');
CREATE INDEX ix_alert_order ON alert (sort_at, seq);
CREATE INDEX ix_alert_rule ON alert (camera, rule, seq);
CREATE INDEX ix_alert_state ON alert (state, sort_at, seq);
CREATE INDEX ix_event_alert ON event (alert_seq, seq);
CREATE INDEX ix_alert_change_alert ON alert_change (alert_seq, seq);
COMMIT;
