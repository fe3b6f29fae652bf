// Package sqlitestore keeps the records and timeouts of luno/workflow in a SQLite
// database, for one process.
//
// On the database of a [sqlite.Streamer], a record and its event are one transaction,
// shared with whoever else commits then. There is no outbox, and nothing is polled:
//
//	streamer, err := sqlite.New(ctx, db)
//	store, err := sqlitestore.New(ctx, db, streamer)
//	w := builder.Build(luno.Streamer(streamer), store, memrolescheduler.New(),
//		workflow.WithoutOutbox(), workflow.WithTimeoutStore(store.Timeouts()))
//
// What a step writes to the same database can be part of that transaction, with
// [Transactional]: exactly once, however often the step runs. And so can a Trigger be part
// of a transaction of yours, with [WithTx].
//
// Without a streamer, the store has an outbox, for any other streamer: give the engine
// luno.ParkOutbox(store, 0).
//
// Two calls of the engine that look at a record and then store it can be under way at
// once: a step that ends and a pause of its run, say. The second fails: a record is stored
// only over the version before it.
//
// No driver is imported: any for database/sql will do. Records and timeouts are never
// deleted: luno/README says what to mind when you do that.
package sqlitestore
