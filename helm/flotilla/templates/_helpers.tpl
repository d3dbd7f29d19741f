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

{{- define "flotilla.scaleDown" -}}
scaleUp:
  stabilizationWindowSeconds: 0
  selectPolicy: Max
  policies:
    - { type: Percent, value: 50, periodSeconds: 60 }
    - { type: Pods, value: 4, periodSeconds: 60 }
scaleDown:
  stabilizationWindowSeconds: {{ .scaleDownAfterSeconds }}
  selectPolicy: Max
  policies:
    - { type: Pods, value: 1, periodSeconds: {{ .scaleDownPeriodSeconds }} }
    - { type: Percent, value: 5, periodSeconds: {{ .scaleDownPeriodSeconds }} }
{{- end -}}
