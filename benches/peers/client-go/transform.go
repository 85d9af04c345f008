package main

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// transformOf is what a program of client-go's own sets on its informers (SetTransform) to keep less: everything but
// the managed fields, which no mirror of watchcache keeps by default, or no more than the slim Pod has. A Pod is decoded
// whole before it is called.
func transformOf(keep string) cache.TransformFunc {
	return func(object any) (any, error) {
		pod, ok := object.(*corev1.Pod)
		switch {
		case !ok:
			return object, nil
		case keep == "slim":
			return slim(pod), nil
		}
		pod.ManagedFields = nil
		return pod, nil
	}
}

// slim keeps the fields of ../../slim.rs, in the types that client-go has for them.
func slim(pod *corev1.Pod) *corev1.Pod {
	kept := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       pod.Namespace,
			Name:            pod.Name,
			UID:             pod.UID,
			ResourceVersion: pod.ResourceVersion,
			Labels:          pod.Labels,
			OwnerReferences: make([]metav1.OwnerReference, len(pod.OwnerReferences)),
		},
		Spec:   corev1.PodSpec{NodeName: pod.Spec.NodeName, Containers: make([]corev1.Container, len(pod.Spec.Containers))},
		Status: corev1.PodStatus{Phase: pod.Status.Phase, PodIP: pod.Status.PodIP, Conditions: make([]corev1.PodCondition, len(pod.Status.Conditions))},
	}
	for i, owner := range pod.OwnerReferences {
		kept.OwnerReferences[i] = metav1.OwnerReference{Kind: owner.Kind, Name: owner.Name, UID: owner.UID}
	}
	for i, container := range pod.Spec.Containers {
		requests := corev1.ResourceList{}
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			if quantity, ok := container.Resources.Requests[name]; ok {
				requests[name] = quantity
			}
		}
		kept.Spec.Containers[i].Resources.Requests = requests
	}
	for i, condition := range pod.Status.Conditions {
		kept.Status.Conditions[i] = corev1.PodCondition{Type: condition.Type, Status: condition.Status}
	}
	return kept
}
