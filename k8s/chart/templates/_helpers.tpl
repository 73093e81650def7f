{{- define "bellwether.selector" -}}
app.kubernetes.io/name: bellwether
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "bellwether.labels" -}}
{{ include "bellwether.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "bellwether.valkeySelector" -}}
app.kubernetes.io/name: bellwether-valkey
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "bellwether.valkeyLabels" -}}
{{ include "bellwether.valkeySelector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- /* A policy that opens one thing: root, name, policyType, rule. */ -}}
{{- define "bellwether.networkPolicy" }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ .root.Release.Name }}-{{ .name }}
  labels:
    {{- include "bellwether.labels" .root | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "bellwether.selector" .root | nindent 6 }}
  policyTypes: [{{ .policyType }}]
  {{ .policyType | lower }}:
    - {{ toYaml .rule | indent 6 | trim }}
{{- end }}
