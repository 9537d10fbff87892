package lwm2m_test

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"testing"

	"steward/lwm2m"
)

func TestJSON(t *testing.T) {
	p := lwm2m.NewPath(3, 0, 9)
	all := []lwm2m.Entry{
		{Path: p},
		{Path: p, Value: lwm2m.String("a\"<\x00é")},
		{Path: p, Value: lwm2m.Integer(math.MinInt64)},
		{Path: p, Value: lwm2m.Opaque([]byte{0, 255})},
		{Path: p, Value: lwm2m.Boolean(true)},
		{Path: p, Value: lwm2m.Time(1)},
		{Path: p, Value: lwm2m.Float(0.1)},
		{Value: lwm2m.String("")},
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	var got []lwm2m.Entry
	if err := json.Unmarshal(text, &got); err != nil || !reflect.DeepEqual(got, all) {
		t.Errorf("%s became %+v, %v", text, got, err)
	}
	var v lwm2m.Value
	for _, bad := range []string{`{"kind":"integer","plain":"x"}`, `{"kind":3}`} {
		if err := json.Unmarshal([]byte(bad), &v); !errors.Is(err, lwm2m.ErrValue) {
			t.Errorf("%s: %v, want ErrValue", bad, err)
		}
	}
	if err := json.Unmarshal([]byte(`"/x/y"`), &p); !errors.Is(err, lwm2m.ErrPath) {
		t.Errorf("bad path: %v, want ErrPath", err)
	}
}
