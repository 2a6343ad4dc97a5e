"""The stable kinds of Kubernetes 1.37, as a table.

A line without indent opens a group version, in discovery's order of priority. An indented line is
``plural Kind`` with options: ``cluster`` (else namespaced), ``sn=`` short names, ``cat=``
categories, ``sub=`` subresources, ``verbs=`` when not the full eight, ``as=`` the group version
in whose shape it is stored.
"""

TABLE = """
v1
  bindings Binding verbs=create
  componentstatuses ComponentStatus cluster sn=cs verbs=get,list
  configmaps ConfigMap sn=cm
  endpoints Endpoints sn=ep
  events Event sn=ev
  limitranges LimitRange sn=limits
  namespaces Namespace cluster sn=ns sub=finalize,status verbs=create,delete,get,list,patch,update,watch
  nodes Node cluster sn=no sub=proxy,status
  persistentvolumeclaims PersistentVolumeClaim sn=pvc sub=status
  persistentvolumes PersistentVolume cluster sn=pv sub=status
  pods Pod sn=po cat=all sub=attach,binding,ephemeralcontainers,eviction,exec,log,portforward,proxy,resize,status
  podtemplates PodTemplate
  replicationcontrollers ReplicationController sn=rc cat=all sub=scale,status
  resourcequotas ResourceQuota sn=quota sub=status
  secrets Secret
  serviceaccounts ServiceAccount sn=sa sub=token
  services Service sn=svc cat=all sub=proxy,status
apiregistration.k8s.io/v1
  apiservices APIService cluster cat=api-extensions sub=status
apps/v1
  controllerrevisions ControllerRevision
  daemonsets DaemonSet sn=ds cat=all sub=status
  deployments Deployment sn=deploy cat=all sub=scale,status
  replicasets ReplicaSet sn=rs cat=all sub=scale,status
  statefulsets StatefulSet sn=sts cat=all sub=scale,status
events.k8s.io/v1
  events Event sn=ev as=v1
authentication.k8s.io/v1
  selfsubjectreviews SelfSubjectReview cluster verbs=create
  tokenreviews TokenReview cluster verbs=create
authorization.k8s.io/v1
  localsubjectaccessreviews LocalSubjectAccessReview verbs=create
  selfsubjectaccessreviews SelfSubjectAccessReview cluster verbs=create
  selfsubjectrulesreviews SelfSubjectRulesReview cluster verbs=create
  subjectaccessreviews SubjectAccessReview cluster verbs=create
autoscaling/v2
  horizontalpodautoscalers HorizontalPodAutoscaler sn=hpa cat=all sub=status
autoscaling/v1
  horizontalpodautoscalers HorizontalPodAutoscaler sn=hpa cat=all sub=status as=autoscaling/v2
batch/v1
  cronjobs CronJob sn=cj cat=all sub=status
  jobs Job cat=all sub=status
certificates.k8s.io/v1
  certificatesigningrequests CertificateSigningRequest cluster sn=csr sub=approval,status
  clustertrustbundles ClusterTrustBundle cluster
  podcertificaterequests PodCertificateRequest sub=status
networking.k8s.io/v1
  ingressclasses IngressClass cluster
  ingresses Ingress sn=ing sub=status
  ipaddresses IPAddress cluster sn=ip
  networkpolicies NetworkPolicy sn=netpol
  servicecidrs ServiceCIDR cluster sub=status
policy/v1
  poddisruptionbudgets PodDisruptionBudget sn=pdb sub=status
rbac.authorization.k8s.io/v1
  clusterrolebindings ClusterRoleBinding cluster
  clusterroles ClusterRole cluster
  rolebindings RoleBinding
  roles Role
storage.k8s.io/v1
  csidrivers CSIDriver cluster
  csinodes CSINode cluster
  csistoragecapacities CSIStorageCapacity
  storageclasses StorageClass cluster sn=sc
  volumeattachments VolumeAttachment cluster sub=status
  volumeattributesclasses VolumeAttributesClass cluster sn=vac
admissionregistration.k8s.io/v1
  mutatingadmissionpolicies MutatingAdmissionPolicy cluster cat=api-extensions
  mutatingadmissionpolicybindings MutatingAdmissionPolicyBinding cluster cat=api-extensions
  mutatingwebhookconfigurations MutatingWebhookConfiguration cluster cat=api-extensions
  validatingadmissionpolicies ValidatingAdmissionPolicy cluster cat=api-extensions sub=status
  validatingadmissionpolicybindings ValidatingAdmissionPolicyBinding cluster cat=api-extensions
  validatingwebhookconfigurations ValidatingWebhookConfiguration cluster cat=api-extensions
apiextensions.k8s.io/v1
  customresourcedefinitions CustomResourceDefinition cluster sn=crd,crds cat=api-extensions sub=status
scheduling.k8s.io/v1
  priorityclasses PriorityClass cluster sn=pc
coordination.k8s.io/v1
  leases Lease
node.k8s.io/v1
  runtimeclasses RuntimeClass cluster
discovery.k8s.io/v1
  endpointslices EndpointSlice
resource.k8s.io/v1
  deviceclasses DeviceClass cluster
  devicetaintrules DeviceTaintRule cluster sub=status
  resourceclaims ResourceClaim sub=status
  resourceclaimtemplates ResourceClaimTemplate
  resourceslices ResourceSlice cluster
flowcontrol.apiserver.k8s.io/v1
  flowschemas FlowSchema cluster sub=status
  prioritylevelconfigurations PriorityLevelConfiguration cluster sub=status
storagemigration.k8s.io/v1
  storageversionmigrations StorageVersionMigration cluster sub=status
"""  # noqa: E501 - a line is a kind
