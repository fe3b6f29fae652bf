// Package watermill runs Watermill's universal suite, pubsub/tests, on the Pub/Sub
// of memstreamer: in memory, in a database and on a NATS server, and has processes
// restart and share a group there. It has no code but tests.
package watermill
