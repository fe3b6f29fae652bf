module github.com/memstreamer/memstreamer/internal/outside

go 1.26.0
