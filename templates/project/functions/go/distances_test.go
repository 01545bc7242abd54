package functions

import (
	"context"
	"reflect"
	"testing"

	"sabir"
)

var paris, rome = Place{"Paris", 48.86, 2.35}, Place{"Rome", 41.9, 12.5}

func TestRouteTellsEachLeg(t *testing.T) {
	got, err := Route([]Place{paris, rome}, true)
	want := []Leg{{"Paris", "Rome", 1106}, {"Rome", "Paris", 1106}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestRouteNeedsTwoPlaces(t *testing.T) {
	if _, err := Route([]Place{paris}, false); err == nil {
		t.Error("there was no error")
	}
}

func TestRouteThroughTheEngine(t *testing.T) {
	got, err := sabir.Call[[]Leg](context.Background(), "distances.route", sabir.Args{"places": []Place{paris, rome}})
	if err != nil || !reflect.DeepEqual(got, []Leg{{"Paris", "Rome", 1106}}) {
		t.Errorf("got %v, %v", got, err)
	}
}
