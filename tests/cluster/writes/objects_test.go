package writes

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
)

func TestUpdatesConflict(t *testing.T) {
	maps := typed(t).CoreV1().ConfigMaps(namespace)
	first, err := maps.Create(t.Context(), configMap("a", map[string]string{"n": "1"}), metav1.CreateOptions{})
	must(t, err)
	if first.UID == "" || first.ResourceVersion == "" || first.CreationTimestamp.IsZero() {
		t.Fatalf("what the server gives is missing: %+v", first)
	}
	_, err = maps.Create(t.Context(), configMap("a", nil), metav1.CreateOptions{})
	refused(t, err, metav1.StatusReasonAlreadyExists)

	second := first.DeepCopy()
	second.Data["n"] = "2"
	second, err = maps.Update(t.Context(), second, metav1.UpdateOptions{})
	must(t, err)

	late := first.DeepCopy()
	late.Data["n"] = "3"
	_, err = maps.Update(t.Context(), late, metav1.UpdateOptions{})
	refused(t, err, metav1.StatusReasonConflict)

	// As a controller does it: again, from what is there now.
	tries := 0
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		tries++
		if tries > 1 {
			if late, err = maps.Get(t.Context(), "a", metav1.GetOptions{}); err != nil {
				return err
			}
			late.Data["n"] = "3"
		}
		_, err = maps.Update(t.Context(), late, metav1.UpdateOptions{})
		return err
	})
	must(t, err)
	last, err := maps.Get(t.Context(), "a", metav1.GetOptions{})
	must(t, err)
	is(t, "tries", tries, 2)
	is(t, "n", last.Data["n"], "3")
	is(t, "the uid", last.UID, first.UID)
	if last.ResourceVersion == second.ResourceVersion {
		t.Fatal("the same version twice")
	}
}

func TestNamesAreGenerated(t *testing.T) {
	maps := typed(t).CoreV1().ConfigMaps(namespace)
	named := configMap("", nil)
	named.GenerateName = "some-"
	one, err := maps.Create(t.Context(), named, metav1.CreateOptions{})
	must(t, err)
	other, err := maps.Create(t.Context(), named, metav1.CreateOptions{})
	must(t, err)
	if one.Name == other.Name || one.GenerateName != "some-" {
		t.Fatalf("%q, %q", one.Name, other.Name)
	}
}

func TestInvalidFieldsAreNamed(t *testing.T) {
	bad := pod("a")
	bad.Spec.Containers[0].Image = ""
	bad.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 70_000}}
	_, err := typed(t).CoreV1().Pods(namespace).Create(t.Context(), bad, metav1.CreateOptions{})
	refused(t, err, metav1.StatusReasonInvalid)
	named := map[string]metav1.CauseType{}
	for _, cause := range err.(apierrors.APIStatus).Status().Details.Causes {
		named[cause.Field] = cause.Type
	}
	is(t, "the number of causes", len(named), 2)
	is(t, "the image", named["spec.containers[0].image"], metav1.CauseTypeFieldValueRequired)
	is(t, "the port", named["spec.containers[0].ports[0].containerPort"], metav1.CauseTypeFieldValueInvalid)
}

func TestDryRunsCommitNothing(t *testing.T) {
	maps := typed(t).CoreV1().ConfigMaps(namespace)
	dry := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	made, err := maps.Create(t.Context(), configMap("a", nil), dry)
	must(t, err)
	if made.UID == "" {
		t.Fatal("without a uid")
	}
	_, err = maps.Get(t.Context(), "a", metav1.GetOptions{})
	refused(t, err, metav1.StatusReasonNotFound)
}

func TestDeletionsInsistOnPreconditions(t *testing.T) {
	maps := typed(t).CoreV1().ConfigMaps(namespace)
	first, err := maps.Create(t.Context(), configMap("a", nil), metav1.CreateOptions{})
	must(t, err)
	first.Data = map[string]string{"n": "2"}
	second, err := maps.Update(t.Context(), first, metav1.UpdateOptions{})
	must(t, err)

	other, old := types.UID("another"), first.ResourceVersion
	for _, wrong := range []metav1.Preconditions{{UID: &other}, {UID: &first.UID, ResourceVersion: &old}} {
		err = maps.Delete(t.Context(), "a", metav1.DeleteOptions{Preconditions: &wrong})
		refused(t, err, metav1.StatusReasonConflict)
	}
	right := metav1.Preconditions{UID: &second.UID, ResourceVersion: &second.ResourceVersion}
	must(t, maps.Delete(t.Context(), "a", metav1.DeleteOptions{Preconditions: &right}))
	err = maps.Delete(t.Context(), "a", metav1.DeleteOptions{})
	refused(t, err, metav1.StatusReasonNotFound)
}

func TestCollectionsAreDeletedByLabel(t *testing.T) {
	maps := typed(t).CoreV1().ConfigMaps(namespace)
	for _, name := range []string{"a", "b", "c"} {
		labelled := configMap(name, nil)
		labelled.Labels = map[string]string{"mine": "", "is-" + name: ""}
		_, err := maps.Create(t.Context(), labelled, metav1.CreateOptions{})
		must(t, err)
	}
	must(t, maps.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "mine,!is-c"}))
	left, err := maps.List(t.Context(), metav1.ListOptions{LabelSelector: "mine"})
	must(t, err)
	if len(left.Items) != 1 || left.Items[0].Name != "c" {
		t.Fatalf("left: %+v", left.Items)
	}
}

func TestNamespacesGoWithTheirContent(t *testing.T) {
	client := typed(t)
	team := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team"}}
	_, err := client.CoreV1().ConfigMaps("team").Create(t.Context(), configMap("a", nil), metav1.CreateOptions{})
	refused(t, err, metav1.StatusReasonNotFound)
	_, err = client.CoreV1().Namespaces().Create(t.Context(), team, metav1.CreateOptions{})
	must(t, err)
	_, err = client.CoreV1().ConfigMaps("team").Create(t.Context(), configMap("a", nil), metav1.CreateOptions{})
	must(t, err)

	must(t, client.CoreV1().Namespaces().Delete(t.Context(), "team", metav1.DeleteOptions{}))
	eventually(t, "gone", gone(func() error {
		_, err := client.CoreV1().Namespaces().Get(t.Context(), "team", metav1.GetOptions{})
		return err
	}))
	_, err = client.CoreV1().ConfigMaps("team").Get(t.Context(), "a", metav1.GetOptions{})
	refused(t, err, metav1.StatusReasonNotFound)
}
