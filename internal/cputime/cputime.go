// Package cputime tells how much processor time this process has used, on Unix
// and on Windows. An idle process is told from a spinning one by the difference
// between two of its readings. It imports nothing; benchmarks and examples import it.
package cputime

import "time"

// Process returns the processor time, user and system together and over all
// threads, that the process has used since it started. It panics in the case,
// unknown in practice, that the operating system refuses to tell.
func Process() time.Duration {
	d, err := process()
	if err != nil {
		panic("cputime: " + err.Error())
	}
	return d
}
