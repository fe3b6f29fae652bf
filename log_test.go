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
				foreignID := strings.Repeat("é", 200)
				gotID, gotType, gotHeaders := unpackEvent[Header](packEvent(foreignID, statusType, headers))
				require.Equal(t, foreignID, gotID)
				require.Equal(t, statusType, gotType)
				require.Equal(t, headers, gotHeaders)
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
		gotID, gotType, gotHeaders := unpackEvent[Header](packEvent(foreignID, statusType, headers))
		require.Equal(t, foreignID, gotID)
		require.Equal(t, statusType, gotType)
		require.Equal(t, headers, gotHeaders)
	})
}

func TestLogFindsEventsAcrossSegments(t *testing.T) {
	var l log
	const events = 3*segmentSize + 1
	for i := range int64(events) {
		l.append(entry{id: i})
	}
	require.EqualValues(t, events, l.next)
	require.Len(t, l.segments, 4)
	for i := range int64(events) {
		require.Equal(t, i, l.at(i).id)
	}
}
