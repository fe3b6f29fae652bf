module github.com/memstreamer/memstreamer

go 1.26
