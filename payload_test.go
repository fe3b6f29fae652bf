package memstreamer

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKnownHeadersAgree(t *testing.T) {
	for i, name := range knownHeaders {
		require.EqualValues(t, i, knownHeader(name))
	}
}

func TestPayloadKeepsEverything(t *testing.T) {
	many := map[Header]string{}
	for i := range 300 {
		many[Header(fmt.Sprint("header ", i))] = strings.Repeat("v", i)
	}
	for name, headers := range map[string]map[Header]string{
		"nil":   nil,
		"empty": {},
		"known": {HeaderTopic: "", HeaderWorkflowName: "w", HeaderForeignID: "f", HeaderRunID: "r", HeaderRunState: "1", HeaderRecordVersion: "2", HeaderConnectorData: "c"},
		"bytes": {"": "", "\x00": "\xff\xfe", "é\n": "日本"},
		"many":  many,
	} {
		t.Run(name, func(t *testing.T) {
			for _, statusType := range []int{0, 1, -1, 63, 64, math.MaxInt, math.MinInt} {
				requirePayload(t, strings.Repeat("é", 200), statusType, headers)
			}
		})
	}
}

func FuzzPayload(f *testing.F) {
	f.Fuzz(func(t *testing.T, foreignID string, statusType int, hasHeaders bool, name1, value1, name2, value2 string) {
		var headers map[Header]string
		if hasHeaders {
			headers = map[Header]string{Header(name1): value1, Header(name2): value2}
		}
		requirePayload(t, foreignID, statusType, headers)
	})
}

func requirePayload(t *testing.T, foreignID string, statusType int, headers map[Header]string) {
	t.Helper()
	packed := packEvent([]byte("before"), foreignID, statusType, headers)
	gotID, gotType, gotHeaders := unpackEvent[Header](strings.TrimPrefix(string(packed), "before"))
	require.Equal(t, foreignID, gotID)
	require.Equal(t, statusType, gotType)
	require.Equal(t, headers, gotHeaders)
}
