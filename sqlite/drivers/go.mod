module github.com/memstreamer/memstreamer/sqlite/drivers

go 1.26.0

replace (
	github.com/memstreamer/memstreamer => ../../
	github.com/memstreamer/memstreamer/sqlite => ../
)

require (
	github.com/mattn/go-sqlite3 v1.14.53
	github.com/memstreamer/memstreamer v0.1.0
	github.com/memstreamer/memstreamer/sqlite v0.1.0
	github.com/ncruces/go-sqlite3 v0.37.0
	github.com/stretchr/testify v1.12.1
	go.uber.org/goleak v1.3.0
)

require (
	github.com/gofrs/flock v0.13.2 // indirect
	github.com/ncruces/go-sqlite3-wasm/v6 v6.5.35401 // indirect
	github.com/ncruces/julianday v1.0.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sys v0.49.0 // indirect
)
