{{- /* Variables of a component, each once: what it always has, `fleet.env`, its own `env`, and `extraEnv` as it is (validate.yaml). */}}
{{- define "flotilla.env" -}}
{{- $root := .root -}}
{{- $values := index $root.Values .component -}}
{{- $env := dict "FLOTILLA_SLOTS" $root.Values.fleet.slots "FLOTILLA_LOG_LEVEL" $root.Values.fleet.logLevel -}}
{{- with $root.Values.fleet.lanes -}}{{- $_ := set $env "FLOTILLA_LANES" . -}}{{- end -}}
{{- if not $root.Values.redis.enabled -}}
{{- if $root.Values.externalRedis.cluster -}}{{- $_ := set $env "FLOTILLA_REDIS_CLUSTER" true -}}{{- end -}}
{{- with $root.Values.externalRedis.prefix -}}{{- $_ := set $env "FLOTILLA_REDIS_PREFIX" . -}}{{- end -}}
{{- end -}}
{{- with $root.Values.tracing.url -}}
{{- $_ := set $env "FLOTILLA_OTLP_URL" . -}}
{{- $_ := set $env "FLOTILLA_TRACES_PER_MILLION" $root.Values.tracing.perMillion -}}
{{- end -}}
{{- if eq (include "flotilla.hasPolicy" .) "yes" -}}{{- $_ := set $env "FLOTILLA_POLICY_FILE" "/etc/flotilla/policy/policy.yaml" -}}{{- end -}}
{{- $env = mergeOverwrite $env .settings $root.Values.fleet.env $values.env -}}
- name: FLOTILLA_MEMBER_ID
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
{{- if $root.Values.redis.enabled }}
- name: REDIS_PASSWORD
  valueFrom: { secretKeyRef: { name: {{ include "flotilla.fullname" $root }}-redis, key: password } }
- name: FLOTILLA_REDIS_URL
  value: redis://:$(REDIS_PASSWORD)@{{ include "flotilla.fullname" $root }}-redis.{{ $root.Release.Namespace }}.svc:6379
{{- else }}
- name: FLOTILLA_REDIS_URL
  valueFrom: { secretKeyRef: { name: {{ $root.Values.externalRedis.existingSecret }}, key: {{ $root.Values.externalRedis.existingSecretKey }} } }
{{- end }}
{{- range $name, $value := $env }}
- name: {{ $name }}
  {{- /* Numbers of a values file are fractions to Helm, and large ones would be written as 1e+06. */}}
  {{- $isWhole := and (kindIs "float64" $value) (eq (toString (floor $value)) (toString $value)) }}
  value: {{ $isWhole | ternary (printf "%.0f" (float64 $value)) (toString $value) | quote }}
{{- end }}
{{- with .secrets }}
{{ toYaml . }}
{{- end }}
{{- with $values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* Whether the component judges by a policy, and there is one. */}}
{{- define "flotilla.hasPolicy" -}}
{{- if and .root.Values.policy (ne .component "control") -}}yes{{- end -}}
{{- end -}}

{{- /*
The pod of a component. Takes root, component, `ports` (name to number; `admin` has the probes), `settings` and `secrets` of its
environment, and `graceSeconds`. `startup`: path that has to answer once, within so many seconds; `readiness`: path that says whether it is
in its Service.
*/}}
{{- define "flotilla.pod" -}}
{{- $root := .root -}}
{{- $values := index $root.Values .component -}}
{{- $selector := dict "root" $root "component" .component -}}
metadata:
  labels:
    {{- /* Without the chart's version: another chart alone is no reason to replace a pod. */}}
    {{- include "flotilla.selectorLabels" $selector | nindent 4 }}
    app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
    {{- with mergeOverwrite (deepCopy $root.Values.commonLabels) $root.Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with mergeOverwrite (deepCopy $root.Values.podAnnotations) $values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "flotilla.fullname" $root }}-{{ .component }}
  automountServiceAccountToken: {{ default false .serviceAccountToken }}
  # A Service named flotilla-edge would set FLOTILLA_EDGE_PORT.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .graceSeconds }}
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    seccompProfile: { type: RuntimeDefault }
  containers:
    - name: {{ .component }}
      image: {{ include "flotilla.image" (dict "image" $root.Values.image "tag" $root.Chart.AppVersion) }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args: {{ append $values.nodeArgs .component | toJson }}
      ports:
        {{- range $name, $port := .ports }}
        - { name: {{ $name }}, containerPort: {{ $port }} }
        {{- end }}
      env:
        {{- include "flotilla.env" . | nindent 8 }}
      {{- $startup := default (dict "path" "/livez" "seconds" 60) .startup }}
      startupProbe:
        httpGet: { path: {{ $startup.path }}, port: admin }
        periodSeconds: 1
        failureThreshold: {{ $startup.seconds }}
      livenessProbe:
        httpGet: { path: /livez, port: admin }
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: { path: {{ .readiness | default "/readyz" }}, port: admin }
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: 2
      resources:
        {{- toYaml $values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: { drop: [ALL] }
      {{- if eq (include "flotilla.hasPolicy" .) "yes" }}
      volumeMounts:
        # The folder, not the file: a file of its own would not change with the ConfigMap.
        - { name: policy, mountPath: /etc/flotilla/policy, readOnly: true }
      {{- end }}
  {{- if eq (include "flotilla.hasPolicy" .) "yes" }}
  volumes:
    - { name: policy, configMap: { name: {{ include "flotilla.fullname" $root }}-policy } }
  {{- end }}
  topologySpreadConstraints:
    {{- if $values.topologySpreadConstraints }}
    {{- toYaml $values.topologySpreadConstraints | nindent 4 }}
    {{- else }}
    {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "flotilla.selectorLabels" $selector | nindent 10 }}
    {{- end }}
    {{- end }}
  {{- with $values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
