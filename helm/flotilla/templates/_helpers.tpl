{{- define "flotilla.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Labels that never change: selectors of a release's objects are made of them. Takes (dict "root" $ "component" "edge"). */}}
{{- define "flotilla.selectorLabels" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride | trunc 63 }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{- define "flotilla.labels" -}}
{{ include "flotilla.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: flotilla
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name (.root.Chart.Version | replace "+" "_") }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* `metadata` of an object. Takes root, component, and `suffix` of the name. */}}
{{- define "flotilla.metadata" -}}
name: {{ include "flotilla.fullname" .root }}{{ with .suffix }}-{{ . }}{{ end }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "flotilla.labels" . | nindent 2 }}
{{- end -}}

{{- define "flotilla.image" -}}
{{- $repository := .image.repository -}}
{{- with .image.registry -}}{{- $repository = printf "%s/%s" . $repository -}}{{- end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .tag .image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "flotilla.secretName" -}}
{{- default (include "flotilla.fullname" .) .Values.auth.existingSecret -}}
{{- end -}}

{{- /* Of an object of the release's components: how many there are at the least. */}}
{{- define "flotilla.leastReplicas" -}}
{{- $autoscaling := default dict .autoscaling -}}
{{- $keda := default dict .keda -}}
{{- if $keda.enabled -}}{{ $keda.minReplicas }}
{{- else if $autoscaling.enabled -}}{{ $autoscaling.minReplicas }}
{{- else -}}{{ .replicas }}
{{- end -}}
{{- end -}}

{{- /* And at the most. */}}
{{- define "flotilla.mostReplicas" -}}
{{- $autoscaling := default dict .autoscaling -}}
{{- $keda := default dict .keda -}}
{{- if $keda.enabled -}}{{ $keda.maxReplicas }}
{{- else if $autoscaling.enabled -}}{{ $autoscaling.maxReplicas }}
{{- else -}}{{ .replicas }}
{{- end -}}
{{- end -}}

{{- /*
`spec.replicas` of a tier that others scale: what it has now, because an upgrade that leaves the field out sets it to 1. `helm template`
finds none. Takes root and `name` of the Deployment.
*/}}
{{- define "flotilla.liveReplicas" -}}
{{- $live := lookup "apps/v1" "Deployment" .root.Release.Namespace .name -}}
{{- with $live -}}
replicas: {{ .spec.replicas }}
{{- end -}}
{{- end -}}

{{- /*
Seconds of an edge's drain, as YAML: what is given, or what follows from the rest. Control grants the edges that drain together
`reconnectsPerSecond`, of which they use half; a rollout drains as many at once as it adds, `atOnce`.
*/}}
{{- define "flotilla.edgeDrain" -}}
{{- $edge := .Values.edge -}}
{{- $drain := $edge.drain -}}
{{- $settle := kindIs "invalid" $drain.settleSeconds | ternary (ternary 90 5 $edge.nlb.enabled) $drain.settleSeconds | int -}}
{{- $atOnce := toString $edge.maxSurge | trimSuffix "%" | int -}}
{{- if hasSuffix "%" (toString $edge.maxSurge) -}}
{{- $atOnce = div (add (mul $atOnce (int (include "flotilla.mostReplicas" $edge))) 99) 100 -}}
{{- end -}}
{{- $perSecond := int .Values.control.reconnectsPerSecond -}}
{{- $move := div (sub (add (mul 2 $atOnce (int $edge.maxConnections)) $perSecond) 1) $perSecond -}}
{{- $full := add $settle $move (int $drain.graceSeconds) -}}
{{- $timeout := kindIs "invalid" $drain.timeoutSeconds | ternary (max 120 (add $full 60)) $drain.timeoutSeconds | int -}}
{{- $minReady := kindIs "invalid" $edge.minReadySeconds | ternary $full $edge.minReadySeconds | int -}}
settle: {{ $settle }}
atOnce: {{ $atOnce }}
move: {{ $move }}
grace: {{ int $drain.graceSeconds }}
full: {{ $full }}
timeout: {{ $timeout }}
minReady: {{ $minReady }}
{{- end -}}

{{- /* A quantity of memory in bytes. */}}
{{- define "flotilla.bytes" -}}
{{- $text := kindIs "float64" . | ternary (printf "%.0f" (float64 .)) (toString .) -}}
{{- $unit := regexFind "[mkKMGTPE]i?$" $text -}}
{{- $powers := dict "" 1.0 "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 "Ei" 1152921504606846976.0 -}}
{{- mulf (trimSuffix $unit $text | float64) (index $powers $unit) | int64 -}}
{{- end -}}

{{- define "flotilla.scaleDown" -}}
scaleUp:
  stabilizationWindowSeconds: 0
  selectPolicy: Max
  policies:
    - { type: Percent, value: 50, periodSeconds: 60 }
    - { type: Pods, value: 4, periodSeconds: 60 }
scaleDown:
  stabilizationWindowSeconds: {{ .scaleDownAfterSeconds }}
  policies:
    - { type: Pods, value: 1, periodSeconds: {{ .scaleDownPeriodSeconds }} }
{{- end -}}
