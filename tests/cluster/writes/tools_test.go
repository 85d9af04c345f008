package writes

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/tools/record"
)

// One recorder writes Events of the core group, the other one those of events.k8s.io; both groups
// have both.
func TestEventsAreOfTwoGroups(t *testing.T) {
	client := typed(t)
	about, err := client.CoreV1().Pods(namespace).Create(t.Context(), pod("a"), metav1.CreateOptions{})
	must(t, err)

	old := record.NewBroadcaster(record.WithContext(t.Context()))
	defer old.Shutdown()
	old.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	old.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "old"}).
		Event(about, corev1.EventTypeNormal, "Old", "as it was")

	recent := events.NewBroadcaster(&events.EventSinkImpl{Interface: client.EventsV1()})
	defer recent.Shutdown()
	must(t, recent.StartRecordingToSinkWithContext(t.Context()))
	recorder := recent.NewRecorder(scheme.Scheme, "example.com/new")
	// The second one goes as a patch of the first: they are a series.
	for range 2 {
		recorder.Eventf(about, nil, corev1.EventTypeWarning, "New", "Testing", "as it is")
	}

	byReason := func(reason string) (*corev1.Event, *eventsv1.Event) {
		ofCore, err := client.CoreV1().Events(namespace).List(t.Context(), metav1.ListOptions{
			FieldSelector: "involvedObject.name=a,reason=" + reason,
		})
		must(t, err)
		ofEvents, err := client.EventsV1().Events(namespace).List(t.Context(), metav1.ListOptions{
			FieldSelector: "regarding.name=a,reason=" + reason,
		})
		must(t, err)
		// It may come between the two lists.
		if len(ofCore.Items) == 0 || len(ofEvents.Items) == 0 {
			return nil, nil
		}
		is(t, "the number of Events", len(ofCore.Items), len(ofEvents.Items))
		return &ofCore.Items[0], &ofEvents.Items[0]
	}
	eventually(t, "both there", func(context.Context) bool {
		one, _ := byReason("Old")
		other, _ := byReason("New")
		return one != nil && other != nil && other.Series != nil
	})
	ofCore, ofEvents := byReason("Old")
	is(t, "the uid", ofCore.UID, ofEvents.UID)
	is(t, "the note", ofEvents.Note, "as it was")
	is(t, "the source", ofEvents.DeprecatedSource.Component, "old")
	is(t, "the count", ofEvents.DeprecatedCount, ofCore.Count)
	ofCore, ofEvents = byReason("New")
	is(t, "the uid", ofCore.UID, ofEvents.UID)
	is(t, "the message", ofCore.Message, "as it is")
	is(t, "the controller", ofCore.ReportingController, ofEvents.ReportingController)
	is(t, "the series", ofCore.Series.Count, ofEvents.Series.Count)
	is(t, "the object", ofEvents.Regarding.UID, about.UID)
}

func TestLeadersAreElected(t *testing.T) {
	leads := make(chan string)
	elect := func(name string) context.CancelFunc {
		lock := &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Name: "leader", Namespace: namespace},
			Client:     typed(t).CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: name},
		}
		ctx, resign := context.WithCancel(t.Context())
		elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
			Lock: lock, ReleaseOnCancel: true,
			LeaseDuration: 20 * time.Second, RenewDeadline: 15 * time.Second, RetryPeriod: 100 * time.Millisecond,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(context.Context) { leads <- name },
				OnStoppedLeading: func() {},
			},
		})
		must(t, err)
		go elector.Run(ctx)
		return resign
	}
	resign := elect("first")
	is(t, "the leader", <-leads, "first")
	defer elect("second")()
	lease, err := typed(t).CoordinationV1().Leases(namespace).Get(t.Context(), "leader", metav1.GetOptions{})
	must(t, err)
	is(t, "the holder", *lease.Spec.HolderIdentity, "first")
	resign()
	is(t, "the leader", <-leads, "second")
}
