// Package cputime reads the processor time of this process, on Unix and on Windows. It
// imports nothing; benchmarks and examples import it.
package cputime

import "time"

// Process returns the processor time that the process has used since it started, user
// and system, over all threads. It panics if the operating system does not tell.
func Process() time.Duration {
	d, err := process()
	if err != nil {
		panic("cputime: " + err.Error())
	}
	return d
}
