// Package sqlitestore keeps the records and timeouts of luno/workflow in a SQLite
// database.
package sqlitestore
